// A whole coupling layer of a rational-quadratic spline: conditioner, spline and log-determinant in one launch, its
// pullback in two. Mirrors coupling.rs and net.rs, for values; there is no gate and no dropout.
//
// A block of threads takes ROWS rows. Their activations lie in shared memory, feature by feature, [features, ROWS]; a
// thread computes one output of an affine map for all rows, so that a weight is read once for ROWS products, and
// neighbouring threads read neighbouring weights. What outlives the launch lies as [features, rows].
#include "rational_quadratic.cuh"
#include "rows.cuh"

enum Activation { RELU = 0, SILU = 1, TANH = 2, GELU = 3 };

// √(2/π) and the cubic coefficient of the GELU.
constexpr double GELU_SCALE = 0.7978845608028654;
constexpr double GELU_CUBE = 0.044715;

template <class R>
MFLOW_INLINE R tanh_of(R x) {
  const R two = constant<R>(2);
  return two * sigmoid(two * x) - constant<R>(1);
}

// (1 + tanh(inner))/2, which is sigmoid(2 inner).
template <class R>
MFLOW_INLINE R gelu_gate(R x) {
  const R inner = x * (constant<R>(1) + x * x * constant<R>(GELU_CUBE)) * constant<R>(GELU_SCALE);
  return sigmoid(inner + inner);
}

template <class R>
MFLOW_INLINE R activate(int kind, R x) {
  const R zero = constant<R>(0);
  if (kind == RELU) return at_least(zero, x) ? zero : x;  // in this order a NaN stays NaN
  if (kind == SILU) return x * sigmoid(x);
  if (kind == TANH) return tanh_of(x);
  return x * gelu_gate(x);
}

template <class R>
MFLOW_INLINE R slope(int kind, R x) {
  const R zero = constant<R>(0), one = constant<R>(1);
  if (kind == RELU) return at_least(zero, x) ? zero : one;
  if (kind == SILU) {
    const R s = sigmoid(x);
    return s * (one + x * (one - s));
  }
  if (kind == TANH) {
    const R y = tanh_of(x);
    return one - y * y;
  }
  const R s = gelu_gate(x);
  const R rise = constant<R>(GELU_SCALE) * (one + constant<R>(3 * GELU_CUBE) * x * x);
  return s + x * (rise + rise) * s * (one - s);
}

// The sizes of a layer. `depth` is the number of affine maps in a block: 2 of a residual net, 1 of a perceptron.
struct Layer {
  long long rows;
  int dim, keep, moved, context, hidden, blocks, depth, activation;
  RationalQuadratic map;

  MFLOW_INLINE int per() const { return 3 * map.bins - (map.circular ? 0 : 1); }
  MFLOW_INLINE int outputs() const { return moved * per(); }
  MFLOW_INLINE int inputs() const { return keep + context; }
  // Affine maps: the first, those of the blocks, the last.
  MFLOW_INLINE int maps() const { return 2 + depth * blocks; }
  MFLOW_INLINE int ins(int map) const { return map == 0 ? inputs() : hidden; }
  MFLOW_INLINE int outs(int map) const { return map + 1 == maps() ? outputs() : hidden; }
  // Where the weights of a map begin, [ins, outs], with its bias behind them.
  MFLOW_INLINE long long weights(int map) const {
    if (map == 0) return 0;
    const long long first = (long long)(inputs() + 1) * hidden;
    return first + (long long)(map - 1) * (hidden + 1) * hidden;
  }
  // Hidden layers before their activation: the output of each map but the last, of the second one in a residual
  // block with what the block was added to.
  MFLOW_INLINE int states() const { return 1 + depth * blocks; }
  // Whether the input of a map is activated.
  MFLOW_INLINE bool activates(int map) const { return map > 0 && (depth == 1 || map + 1 < maps()); }
  // Where things lie in what coupling_forward saves: states, then the parameters of the splines.
  MFLOW_INLINE long long at_state(int state) const { return rows * hidden * state; }
  MFLOW_INLINE long long at_parameters() const { return at_state(states()); }
};

// out: y [rows, dim], log-determinants [rows]. saved: the states if `save`, and the parameters of the splines.
template <class T>
MFLOW_INLINE void coupling_forward(Layer layer, int save, const unsigned *keep, const unsigned *moved, const T *x,
                                   const T *context, const T *theta, T *out, T *saved) {
  const long long first = (long long)blockIdx.x * ROWS;
  const int rows = (int)(layer.rows - first < ROWS ? layer.rows - first : ROWS);
  const int hidden = layer.hidden, kind = layer.activation, maps = layer.maps();
  MFLOW_SHARED(T, input);
  T *h = input + (long long)layer.inputs() * ROWS, *a = h + (long long)hidden * ROWS, *u = a + (long long)hidden * ROWS;
  T *log_slopes = u + (long long)hidden * ROWS;
  T *p = saved + layer.at_parameters();
  const auto bias = [&](int map) { return theta + layer.weights(map) + (long long)layer.ins(map) * layer.outs(map); };
  const auto keep_state = [&](int state, int o, int r, T v) {
    if (save) saved[layer.at_state(state) + o * layer.rows + first + r] = v;
  };

  for_each(layer.inputs(), rows, [&](int k, int r) {
    const long long row = first + r;
    input[k * ROWS + r] =
        k < layer.keep ? x[row * layer.dim + keep[k]] : context[row * layer.context + k - layer.keep];
  });
  for_each(layer.dim, rows, [&](int k, int r) { out[(first + r) * layer.dim + k] = x[(first + r) * layer.dim + k]; });
  affine(input, ROWS, rows, layer.inputs(), hidden, theta, bias(0), [&](int o, int r, T v) {
    h[o * ROWS + r] = v;
    keep_state(0, o, r, v);
  });
  int map = 1;
  for (int block = 0; block < layer.blocks; block++) {
    for_each(hidden, rows, [&](int o, int r) { a[o * ROWS + r] = activate(kind, h[o * ROWS + r]); });
    if (layer.depth == 2) {
      affine(a, ROWS, rows, hidden, hidden, theta + layer.weights(map), bias(map), [&](int o, int r, T v) {
        u[o * ROWS + r] = activate(kind, v);
        keep_state(map, o, r, v);
      });
      map++;
    }
    const T *in = layer.depth == 2 ? u : a;
    affine(in, ROWS, rows, hidden, hidden, theta + layer.weights(map), bias(map), [&](int o, int r, T v) {
      const T sum = layer.depth == 2 ? h[o * ROWS + r] + v : v;
      h[o * ROWS + r] = sum;
      keep_state(map, o, r, sum);
    });
    map++;
  }
  if (layer.activates(maps - 1)) {
    for_each(hidden, rows, [&](int o, int r) { h[o * ROWS + r] = activate(kind, h[o * ROWS + r]); });
  }
  affine(h, ROWS, rows, hidden, layer.outputs(), theta + layer.weights(map), bias(map),
         [&](int o, int r, T v) { p[o * layer.rows + first + r] = v; });
  for_each(layer.moved, rows, [&](int t, int r) {
    const long long row = first + r;
    const Column<T> column = {p + (long long)t * layer.per() * layer.rows + row, layer.rows};
    const Point<T> point = value(layer.map, x[row * layer.dim + moved[t]], column);
    out[row * layer.dim + moved[t]] = point.y;
    log_slopes[t * ROWS + r] = point.log_slope;
  });
  // In the order of the features, so that the sum is the same in every run.
  for_each(1, rows, [&](int, int r) {
    T sum = T(0);
    for (int t = 0; t < layer.moved; t++) sum += log_slopes[t * ROWS + r];
    out[layer.rows * layer.dim + first + r] = sum;
  });
}

// Each matrix of weights transposed, [outs, ins], in its place: what the pullback multiplies by.
template <class T>
MFLOW_INLINE void coupling_transpose(Layer layer, const T *theta, T *out) {
  const int map = blockIdx.y, ins = layer.ins(map), outs = layer.outs(map);
  const T *from = theta + layer.weights(map);
  T *to = out + layer.weights(map);
  for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < (long long)ins * outs;
       e += (long long)gridDim.x * blockDim.x) {
    to[e] = from[e % ins * outs + e / ins];
  }
}

// Where the cotangent of the output of a map lies in `deltas`: those of the states first, then of the parameters.
template <class T>
MFLOW_INLINE T *delta_of(const Layer &layer, T *deltas, int map) {
  return deltas + (long long)map * layer.hidden * layer.rows;
}

// g: cotangents of y [rows, dim] and of the log-determinants [rows]. out: those of x [rows, dim], then of the context.
// deltas: of the outputs of all affine maps.
template <class T>
MFLOW_INLINE void coupling_pull(Layer layer, const unsigned *keep, const unsigned *moved, const T *x, const T *transposed,
                                const T *saved, const T *g, T *deltas, T *out) {
  const long long first = (long long)blockIdx.x * ROWS;
  const int rows = (int)(layer.rows - first < ROWS ? layer.rows - first : ROWS);
  const int hidden = layer.hidden, kind = layer.activation, last = layer.maps() - 1;
  MFLOW_SHARED(T, total);
  T *d = total + (long long)hidden * ROWS;
  const T *p = saved + layer.at_parameters();
  T *g_p = delta_of(layer, deltas, last);
  const auto state = [&](int s, int o, int r) { return saved[layer.at_state(s) + o * layer.rows + first + r]; };
  const auto put = [&](int map, int o, int r, T v) {
    delta_of(layer, deltas, map)[o * layer.rows + first + r] = v;
  };

  for_each(layer.dim, rows, [&](int k, int r) { out[(first + r) * layer.dim + k] = g[(first + r) * layer.dim + k]; });
  for_each(layer.moved, rows, [&](int t, int r) {
    const long long row = first + r, at = (long long)t * layer.per() * layer.rows + row;
    const long long feature = row * layer.dim + moved[t];
    const Point<T> cotangent = {g[feature], g[layer.rows * layer.dim + row]};
    T *to = g_p + at;
    const auto of_parameter = [&](int k, T v) { to[k * layer.rows] = v; };
    out[feature] = pullback(layer.map, x[feature], Column<T>{p + at, layer.rows}, cotangent, of_parameter);
  });
  // total: the cotangent of the last hidden layer before its activation.
  const T *no_bias = nullptr;
  affine(g_p + first, layer.rows, rows, layer.outputs(), hidden, transposed + layer.weights(last), no_bias,
         [&](int o, int r, T v) {
           const T s = layer.activates(last) ? slope(kind, state(layer.states() - 1, o, r)) : T(1);
           total[o * ROWS + r] = v * s;
         });
  for (int map = last - 1; map > 0; map--) {
    // Of a residual block: through its second map, then its first, beside the block.
    const T *from = total;
    if (layer.depth == 2) {
      for_each(hidden, rows, [&](int o, int r) { put(map, o, r, total[o * ROWS + r]); });
      affine(from, ROWS, rows, hidden, hidden, transposed + layer.weights(map), no_bias,
             [&](int o, int r, T v) { d[o * ROWS + r] = v * slope(kind, state(map - 1, o, r)); });
      from = d;
      map--;
    }
    for_each(hidden, rows, [&](int o, int r) { put(map, o, r, from[o * ROWS + r]); });
    if (layer.depth == 2) {
      affine(from, ROWS, rows, hidden, hidden, transposed + layer.weights(map), no_bias,
             [&](int o, int r, T v) { total[o * ROWS + r] += v * slope(kind, state(map - 1, o, r)); });
    } else {
      affine(from, ROWS, rows, hidden, hidden, transposed + layer.weights(map), no_bias,
             [&](int o, int r, T v) { d[o * ROWS + r] = v * slope(kind, state(map - 1, o, r)); });
      for_each(hidden, rows, [&](int o, int r) { total[o * ROWS + r] = d[o * ROWS + r]; });
    }
  }
  for_each(hidden, rows, [&](int o, int r) { put(0, o, r, total[o * ROWS + r]); });
  affine(total, ROWS, rows, hidden, layer.inputs(), transposed, no_bias, [&](int k, int r, T v) {
    const long long row = first + r;
    if (k < layer.keep) {
      out[row * layer.dim + keep[k]] += v;
    } else {
      out[layer.rows * layer.dim + row * layer.context + k - layer.keep] = v;
    }
  });
}

// The cotangents of all weights and biases, laid out like theta: for each map Σ_rows in[i] delta[o], with a last input
// that is 1. The map is blockIdx.z.
template <class T>
MFLOW_INLINE void coupling_weights(Layer layer, const unsigned *keep, const T *x, const T *context, const T *saved,
                                   const T *deltas, T *out) {
  const int map = blockIdx.z, ins = layer.ins(map), outs = layer.outs(map);
  const T *of_map = deltas + (long long)map * layer.hidden * layer.rows;
  const auto input = [&](int i, long long row) {
    if (i == ins) return T(1);
    if (map > 0) {
      const T v = saved[layer.at_state(map - 1) + i * layer.rows + row];
      return layer.activates(map) ? activate(layer.activation, v) : v;
    }
    return i < layer.keep ? x[row * layer.dim + keep[i]] : context[row * layer.context + i - layer.keep];
  };
  const auto delta = [&](int o, long long row) { return of_map[o * layer.rows + row]; };
  T *to = out + layer.weights(map);
  tile_sums<T>(layer.rows, ins + 1, outs, input, delta, [&](int i, int o, T v) { to[(long long)i * outs + o] = v; });
}

#define MFLOW_LAYER                                                                                                    \
  long long rows, int dim, int keep_count, int moved_count, int context_count, int hidden, int blocks, int depth,     \
      int activation, int bins, int circular, int inverse, double bound, double logit_scale
#define MFLOW_SIZES                                                                                                    \
  (Layer{rows, dim, keep_count, moved_count, context_count, hidden, blocks, depth, activation,                        \
         RationalQuadratic{bins, circular != 0, inverse != 0, bound, logit_scale}})
#define MFLOW_COUPLING(T, name)                                                                                        \
  extern "C" __global__ void coupling_forward_##name(MFLOW_LAYER, int save, const unsigned *keep, const unsigned *moved,        \
                                                     const T *x, const T *context, const T *theta, T *out, T *saved) { \
    coupling_forward(MFLOW_SIZES, save, keep, moved, x, context, theta, out, saved);                                          \
  }                                                                                                                    \
  extern "C" __global__ void coupling_transpose_##name(MFLOW_LAYER, const T *theta, T *out) {                         \
    coupling_transpose(MFLOW_SIZES, theta, out);                                                                       \
  }                                                                                                                    \
  extern "C" __global__ void coupling_pull_##name(MFLOW_LAYER, const unsigned *keep, const unsigned *moved, const T *x,         \
                                                  const T *transposed, const T *saved, const T *g, T *deltas,        \
                                                  T *out) {                                                            \
    coupling_pull(MFLOW_SIZES, keep, moved, x, transposed, saved, g, deltas, out);                                   \
  }                                                                                                                    \
  extern "C" __global__ void coupling_weights_##name(MFLOW_LAYER, const unsigned *keep, const T *x, const T *context,      \
                                                     const T *saved, const T *deltas, T *out) {                      \
    coupling_weights(MFLOW_SIZES, keep, x, context, saved, deltas, out);                                             \
  }

MFLOW_COUPLING(float, f32)
MFLOW_COUPLING(double, f64)
