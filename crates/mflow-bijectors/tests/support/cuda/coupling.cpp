// Runs the kernels of coupling.cu on the CPU: reads a layer, points and cotangents from the standard input, writes y, the
// tangents and
// log-determinants, and the cotangents of points with tangents, context and parameters. The first argument is the kind of
// the kernels.
#include "cuda_on_cpu.h"

#include "../../../src/kernel/cuda/coupling.cu"

#include <algorithm>
#include <string>

#include "numbers.h"

// The kernels of blocks of R rows.
template <class T, class Forward, class Transpose, class Pull, class Weights, class Total>
int run(int block_rows, Forward forward, Transpose transpose, Pull pull, Weights weights, Total total) {
  long long points;
  int tangents, before, dim, keeps, moves, contexts, hidden, blocks, depth, gated, activation, bins, circular, inverse, parts;
  double bound, scale;
  if (std::scanf("%lld %d %d %d %d %d %d %d %d %d %d %d %d %d %d %lf %lf %d", &points, &tangents, &before, &dim, &keeps, &moves,
                 &contexts, &hidden, &blocks, &depth, &gated, &activation, &bins, &circular, &inverse, &bound, &scale,
                 &parts) != 18)
    return 1;
  const Layer layer = {points, tangents, before, dim, keeps, moves, contexts, hidden, blocks, depth,
                       gated,  activation, RationalQuadratic{bins, circular != 0, inverse != 0, bound, scale}};
  const long long rows = layer.rows();
  const std::vector<unsigned> keep = numbers<unsigned>(keeps), moved = numbers<unsigned>(moves);
  const std::vector<T> x = numbers<T>(layer.packed()), context = numbers<T>(points * contexts);
  const int maps = layer.last() + 1;
  const long long parameters = layer.bias(layer.last()) + layer.outputs();
  const std::vector<T> theta = numbers<T>(parameters), g = numbers<T>(rows * dim + points);
  const unsigned tiles = (unsigned)((points + block_rows / layer.group() - 1) / (block_rows / layer.group()));
  const T none = T(NAN);
  std::vector<T> saved(layer.at_parameters() + rows * layer.outputs(), none), out(rows * dim + points, none);
  std::vector<T> transposed(parameters, none), sums(parts * parameters, none);
  std::vector<T> deltas(delta_of(layer, layer.last()) + rows * layer.outputs(), none);
  std::vector<T> g_in(layer.packed() + points * contexts, none), g_theta(parameters, none);
#define SIZES                                                                                                          \
  points, tangents, before, dim, keeps, moves, contexts, hidden, blocks, depth, gated, activation, bins, circular, inverse,    \
      bound, scale
  launch_blocks({tiles, 1, 1}, 24, [&] {
    forward(SIZES, 1, keep.data(), moved.data(), x.data(), context.data(), theta.data(), out.data(), saved.data());
  });
  launch_blocks({2, (unsigned)maps, 1}, 24, [&] { transpose(SIZES, theta.data(), transposed.data()); });
  launch_blocks({tiles, 1, 1}, 24, [&] {
    pull(SIZES, keep.data(), moved.data(), x.data(), context.data(), theta.data(), transposed.data(), saved.data(),
         g.data(), deltas.data(), g_in.data());
  });
  const auto tiles_of = [](int n) { return (unsigned)((n + TILE - 1) / TILE); };
  const unsigned wide = tiles_of(std::max(hidden, layer.outputs()));
  const unsigned high = tiles_of(std::max(hidden, layer.inputs()) + 1);
  launch_blocks({wide, high, (unsigned)(maps * parts)}, SIDE * SIDE, [&] {
    weights(SIZES, parts, parameters, keep.data(), x.data(), context.data(), saved.data(), deltas.data(), sums.data());
  });
  launch(parameters, 32, [&] { total(parameters, parts, sums.data(), g_theta.data()); });
  print(out);
  print(g_in);
  print(g_theta);
  return 0;
}

#define RUN(T, name, kind, block_rows)                                                                                 \
  run<T>(block_rows, coupling_forward_##kind##_##name, coupling_transpose_##name, coupling_pull_##kind##_##name,       \
         coupling_weights_##name, coupling_total_##name)

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  const std::string kind = argv[1];
  if (std::string(argv[2]) == "f32") {
    return kind == "values" ? RUN(float, f32, values, 16) : kind == "16" ? RUN(float, f32, 16, 16) : RUN(float, f32, 32, 32);
  }
  return kind == "values" ? RUN(double, f64, values, 16) : kind == "16" ? RUN(double, f64, 16, 16) : RUN(double, f64, 32, 32);
}
