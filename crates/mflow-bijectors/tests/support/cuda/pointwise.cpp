// Runs the kernels of pointwise.cu on the CPU: reads one call from the standard input, writes its results.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/pointwise.cu"

#include <string>

#include "numbers.h"

template <class T, class Values, class Pull, class Gradient, class GradientPull>
int run(const std::string &kernel, Values values, Pull pull, Gradient gradient, GradientPull gradient_pull) {
  int bins, circular, inverse, log_det;
  double bound, scale;
  long long n, stride, step;
  if (std::scanf("%d %d %d %lf %lf %d %lld %lld %lld", &bins, &circular, &inverse, &bound, &scale, &log_det, &n,
                 &stride, &step) != 9)
    return 1;
  const long long count = 3LL * bins - (circular ? 0 : 1), all = n * (1 + count);
  const std::vector<T> x = numbers<T>(n), p = numbers<T>(n * count);
  const long long results = 2 * n + all * (1 + log_det);
  std::vector<T> out(kernel == "values" ? 2 * n : kernel == "gradient" ? results : all);
  const std::vector<T> g = numbers<T>(kernel == "pull" ? 2 * n : kernel == "gradient_pull" ? results : 0);
  launch(n, 32, [&] {
    if (kernel == "values") values(bins, circular, inverse, bound, scale, n, stride, step, x.data(), p.data(), out.data());
    if (kernel == "pull")
      pull(bins, circular, inverse, bound, scale, n, stride, step, x.data(), p.data(), g.data(), out.data());
    if (kernel == "gradient")
      gradient(bins, circular, inverse, bound, scale, log_det, n, stride, step, x.data(), p.data(), out.data());
    if (kernel == "gradient_pull")
      gradient_pull(bins, circular, inverse, bound, scale, log_det, n, stride, step, x.data(), p.data(), g.data(),
                    out.data());
  });
  print(out);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const std::string kernel = argv[1];
  if (std::string(argv[2]) == "f32")
    return run<float>(kernel, rq_values_f32, rq_pull_f32, rq_gradient_f32, rq_gradient_pull_f32);
  return run<double>(kernel, rq_values_f64, rq_pull_f64, rq_gradient_f64, rq_gradient_pull_f64);
}
