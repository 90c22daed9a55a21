// Runs the kernel of permute.cu on the CPU: reads sizes, an order and packed rows from the standard input.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/permute.cu"

#include <string>

#include "numbers.h"

template <class T, class Kernel>
int run(Kernel kernel) {
  int dim;
  long long n, given, len;
  if (std::scanf("%d %lld %lld %lld", &dim, &n, &given, &len) != 4) return 1;
  const std::vector<unsigned> order = numbers<unsigned>(dim);
  const std::vector<T> x = numbers<T>(given);
  std::vector<T> out(len, T(NAN));
  launch(len, 32, [&] { kernel(dim, n, given, len, order.data(), x.data(), out.data()); });
  print(out);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  return std::string(argv[2]) == "f32" ? run<float>(permute_f32) : run<double>(permute_f64);
}
