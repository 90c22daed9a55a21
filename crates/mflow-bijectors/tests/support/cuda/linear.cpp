// Runs the kernels of triangular.cu and gram.cu on the CPU: reads one call from the standard input, writes its results.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/gram.cu"
#include "../../../src/kernel/cuda/triangular.cu"

#include <string>

#include "numbers.h"

template <class T, class Inverse, class Factor, class Pull>
int run(const std::string &kernel, Inverse inverse, Factor factor, Pull pull) {
  long long points;
  int n, d;
  if (std::scanf("%lld %d %d", &points, &n, &d) != 3) return 1;
  const std::vector<T> rows = numbers<T>(kernel == "lower_inverse" ? d * d : points * n * d);
  if (kernel == "lower_inverse") {
    std::vector<T> out(d * d, T(7));
    launch(d, 32, [&] { inverse(d, rows.data(), out.data()); });
    print(out);
    return 0;
  }
  std::vector<double> l(n * n * points), work(n * points * d);
  std::vector<T> log_det(points), out(points * n * d);
  launch(points, 32, [&] { factor(points, n, d, rows.data(), l.data(), log_det.data()); });
  if (kernel == "gram") {
    print(log_det);
    return 0;
  }
  const std::vector<T> g = numbers<T>(points);
  launch(points * d, 32, [&] { pull(points, n, d, rows.data(), l.data(), g.data(), work.data(), out.data()); });
  print(out);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const std::string kernel = argv[1];
  if (std::string(argv[2]) == "f32") return run<float>(kernel, lower_inverse_f32, gram_factor_f32, gram_pull_f32);
  return run<double>(kernel, lower_inverse_f64, gram_factor_f64, gram_pull_f64);
}
