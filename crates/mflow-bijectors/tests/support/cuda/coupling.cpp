// Runs the kernels of coupling.cu on the CPU: reads a layer, points and cotangents from the standard input, writes y, the
// log-determinants, and the cotangents of points, context and parameters.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/coupling.cu"

#include <algorithm>
#include <string>

#include "numbers.h"

template <class T, class Forward, class Transpose, class Pull, class Weights>
int run(Forward forward, Transpose transpose, Pull pull, Weights weights) {
  long long rows;
  int dim, keeps, moves, contexts, hidden, blocks, depth, activation, bins, circular, inverse;
  double bound, scale;
  if (std::scanf("%lld %d %d %d %d %d %d %d %d %d %d %d %lf %lf", &rows, &dim, &keeps, &moves, &contexts, &hidden,
                 &blocks, &depth, &activation, &bins, &circular, &inverse, &bound, &scale) != 14)
    return 1;
  const Layer layer = {rows, dim, keeps, moves, contexts, hidden, blocks, depth, activation,
                       RationalQuadratic{bins, circular != 0, inverse != 0, bound, scale}};
  const std::vector<unsigned> keep = numbers<unsigned>(keeps), moved = numbers<unsigned>(moves);
  const std::vector<T> x = numbers<T>(rows * dim), context = numbers<T>(rows * contexts);
  const int maps = layer.maps();
  const long long parameters = layer.weights(maps - 1) + (long long)(hidden + 1) * layer.outputs();
  const std::vector<T> theta = numbers<T>(parameters), g = numbers<T>(rows * (dim + 1));
  const unsigned tiles = (unsigned)((rows + ROWS - 1) / ROWS);
  const T none = T(NAN);
  std::vector<T> saved(layer.at_parameters() + rows * layer.outputs(), none), out(rows * (dim + 1), none);
  std::vector<T> transposed(parameters, none);
  std::vector<T> deltas(rows * ((long long)(maps - 1) * hidden + layer.outputs()), none);
  std::vector<T> g_in(rows * (dim + contexts), none), g_theta(parameters, none);
#define SIZES                                                                                                          \
  rows, dim, keeps, moves, contexts, hidden, blocks, depth, activation, bins, circular, inverse, bound, scale
  launch_blocks({tiles, 1, 1}, 24, [&] {
    forward(SIZES, 1, keep.data(), moved.data(), x.data(), context.data(), theta.data(), out.data(),
            saved.data());
  });
  launch_blocks({2, (unsigned)maps, 1}, 24, [&] { transpose(SIZES, theta.data(), transposed.data()); });
  launch_blocks({tiles, 1, 1}, 24, [&] {
    pull(SIZES, keep.data(), moved.data(), x.data(), transposed.data(), saved.data(), g.data(), deltas.data(),
         g_in.data());
  });
  const auto tiles_of = [](int n) { return (unsigned)((n + TILE - 1) / TILE); };
  const unsigned wide = tiles_of(std::max(hidden, layer.outputs()));
  const unsigned high = tiles_of(std::max(hidden, layer.inputs()) + 1);
  launch_blocks({wide, high, (unsigned)maps}, TILE * TILE, [&] {
    weights(SIZES, keep.data(), x.data(), context.data(), saved.data(), deltas.data(), g_theta.data());
  });
  print(out);
  print(g_in);
  print(g_theta);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  if (std::string(argv[2]) == "f32")
    return run<float>(coupling_forward_f32, coupling_transpose_f32, coupling_pull_f32, coupling_weights_f32);
  return run<double>(coupling_forward_f64, coupling_transpose_f64, coupling_pull_f64, coupling_weights_f64);
}
