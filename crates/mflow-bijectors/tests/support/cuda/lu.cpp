// Runs the kernels of lu.cu on the CPU: reads a map, points with tangents and cotangents from the standard input, writes
// the results, and the cotangents of points and theta.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/lu.cu"

#include <string>

#include "numbers.h"

template <class T, class Factors, class Forward, class Pull, class Sums, class Gather>
int run(Factors factors, Forward forward, Pull pull, Sums sums, Gather gather) {
  int d, inverse, before, parts;
  double least;
  long long points, all;
  if (std::scanf("%d %d %lf %d %lld %lld %d", &d, &inverse, &least, &before, &points, &all, &parts) != 7) return 1;
  const Lu lu = {d, inverse != 0};
  const long long parameters = lu.bias() + d;
  const std::vector<T> x = numbers<T>(all * d + before * points), theta = numbers<T>(parameters), g = numbers<T>(all * d + points);
  const T none = T(NAN);
  std::vector<double> work(4 * lu.size(), NAN);
  std::vector<T> of(lu.log_det() + 1, none), out(all * d + points, none), sides(4 * d * all, none);
  std::vector<T> g_x(all * d + before * points, none), total(parts * 2 * (d + 1) * (d + 1), none), g_theta(parameters, none);
  const unsigned blocks = (unsigned)((all + ROWS - 1) / ROWS), tiles = (unsigned)(d / TILE + 1);
  launch_blocks({1, 1, 1}, 24, [&] { factors(d, inverse, least, theta.data(), work.data(), of.data()); });
  launch_blocks({blocks, 1, 1}, 24,
                [&] { forward(d, inverse, before, points, all, x.data(), theta.data(), of.data(), out.data()); });
  launch_blocks({blocks, 1, 1}, 24, [&] {
    pull(d, inverse, before, points, all, x.data(), theta.data(), of.data(), g.data(), sides.data(), g_x.data());
  });
  launch_blocks({tiles, tiles, 2 * (unsigned)parts}, SIDE * SIDE,
                [&] { sums(d, inverse, parts, points, all, g.data(), sides.data(), total.data()); });
  launch((long long)d * d, 32, [&] { gather(d, inverse, parts, of.data(), total.data(), g_theta.data()); });
  print(out);
  print(g_x);
  print(g_theta);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (std::string(argv[2]) == "f32")
    return run<float>(lu_factors_f32, lu_forward_f32, lu_pull_f32, lu_sums_f32, lu_gather_f32);
  return run<double>(lu_factors_f64, lu_forward_f64, lu_pull_f64, lu_sums_f64, lu_gather_f64);
}
