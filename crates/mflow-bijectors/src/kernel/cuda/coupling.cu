// A whole coupling layer of a rational-quadratic spline: conditioner, spline, log-determinant and tangents in one launch,
// its pullback in four. Mirrors coupling.rs and net.rs; there is no dropout.
//
// Rows are counted point after point: the value of a point, then its tangents. A block of threads takes whole points, R
// rows at most, of which it keeps activations in shared memory, [features, R]. What outlives the launch lies as
// [features, rows]. Points and results are packed as in kernel/mod.rs: all values, then all tangents, then the
// log-determinants, of points those of the layers before if there are any.
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

// The sizes of a layer. `depth` is the number of affine maps in a block: 2 of a residual net, 1 of a perceptron. A block
// that is gated by the context has the map of its gate behind them.
struct Layer {
  long long points;
  int tangents, before, dim, keep, moved, context, hidden, blocks, depth, gated, activation;
  RationalQuadratic map;

  MFLOW_INLINE int group() const { return 1 + tangents; }
  MFLOW_INLINE long long rows() const { return points * group(); }
  MFLOW_INLINE int per() const { return 3 * map.bins - (map.circular ? 0 : 1); }
  MFLOW_INLINE int outputs() const { return moved * per(); }
  MFLOW_INLINE int inputs() const { return keep + context; }
  // Affine maps: the first, those of the blocks, the last.
  MFLOW_INLINE int in_block() const { return depth + gated; }
  MFLOW_INLINE int last() const { return 1 + in_block() * blocks; }
  MFLOW_INLINE int map_of(int block, int k) const { return 1 + in_block() * block + k; }
  MFLOW_INLINE int gate_of(int block) const { return map_of(block, depth); }
  MFLOW_INLINE bool is_gate(int m) const { return m > 0 && m < last() && (m - 1) % in_block() == depth; }
  MFLOW_INLINE int ins(int m) const { return m == 0 ? inputs() : is_gate(m) ? context : hidden; }
  MFLOW_INLINE int outs(int m) const { return m == last() ? outputs() : hidden; }
  // Where the weights of a map begin, [ins, outs], with its bias behind them.
  MFLOW_INLINE long long weights(int m) const {
    if (m == 0) return 0;
    const long long square = (long long)(hidden + 1) * hidden, gate = (long long)gated * (context + 1) * hidden;
    const int block = (m - 1) / in_block(), k = (m - 1) % in_block();
    return (long long)(inputs() + 1) * hidden + block * (depth * square + gate) + k * square;
  }
  MFLOW_INLINE long long bias(int m) const { return weights(m) + (long long)ins(m) * outs(m); }
  // Hidden layers before their activation: the output of the first map and of each in a block, of the last one in a block
  // with what it is added to.
  MFLOW_INLINE int states() const { return 1 + depth * blocks; }
  MFLOW_INLINE int state_of(int block, int k) const { return 1 + depth * block + k; }
  // Whether the last map sees an activated hidden layer.
  MFLOW_INLINE bool ends_activated() const { return depth == 1; }
  // Where things lie in what coupling_forward saves: states, what blocks add before their gates, parameters of the splines.
  MFLOW_INLINE long long at_state(int state) const { return rows() * hidden * state; }
  MFLOW_INLINE long long at_update(int block) const { return at_state(states() + block); }
  MFLOW_INLINE long long at_parameters() const { return at_state(states() + gated * blocks); }
  // How many numbers points and what lies behind them are.
  MFLOW_INLINE long long packed() const { return rows() * dim + (before ? points : 0); }
  // Where a point begins among all values, and a tangent behind them.
  MFLOW_INLINE long long at(long long point, int tangent) const {
    return (tangent == 0 ? point : points + point * tangents + tangent - 1) * dim;
  }
};

// The rows of this block.
template <int R>
struct Lanes {
  int group, rows, inverse;
  long long point, first;

  MFLOW_INLINE explicit Lanes(const Layer &layer) : group(layer.group()) {
    const int most = R / group;
    point = (long long)blockIdx.x * most;
    first = point * group;
    rows = (int)(layer.points - point < most ? layer.points - point : most) * group;
    // For a division by a product: exact for all r < 32.
    inverse = (1024 + group - 1) / group;
  }
  // Number of the point of row r in this block, and the row of its value.
  MFLOW_INLINE int within(int r) const { return r * inverse >> 10; }
  MFLOW_INLINE int lead(int r) const { return within(r) * group; }
  // Of which point, among all of them, row r is, and which of its tangents; 0 is its value.
  MFLOW_INLINE long long point_of(int r) const { return point + within(r); }
  MFLOW_INLINE int tangent(int r) const { return r - lead(r); }
};

// The gate of a block, unit o, for a point.
template <class T>
MFLOW_INLINE T gate(const Layer &layer, int block, const T *context, const T *theta, int o, long long point) {
  const int m = layer.gate_of(block);
  const T *w = theta + layer.weights(m) + o;
  T sum = theta[layer.bias(m) + o];
  for (int c = 0; c < layer.context; c++) sum += context[point * layer.context + c] * w[(long long)c * layer.hidden];
  return sigmoid(sum);
}

// out: y and tangents, log-determinants [points]. saved: states and updates if `save`, behind them the parameters of the
// splines with their tangents.
template <int R, class T>
MFLOW_INLINE void coupling_forward(Layer layer, int save, const unsigned *keep, const unsigned *moved, const T *x,
                                   const T *context, const T *theta, T *out, T *saved) {
  const Lanes<R> lanes(layer);
  const int hidden = layer.hidden, kind = layer.activation, rows = lanes.rows;
  const long long all = layer.rows();
  MFLOW_SHARED(T, h);
  T *a = h + hidden * R, *u = a + hidden * R;
  T *p = saved + (save ? layer.at_parameters() : 0) + lanes.first;
  const auto keep_at = [&](long long start, int o, int r, T v) {
    if (save) saved[start + o * all + lanes.first + r] = v;
  };
  // Writes an affine map's results to `to`; the bias is of values only.
  const auto map_to = [&](T *to, int m, const T *in) {
    const T *b = theta + layer.bias(m);
    affine<R>(in, layer.ins(m), layer.outs(m), theta + layer.weights(m), Keep<T>{to});
    for_each<R>(layer.outs(m), rows, [&](int o, int r) {
      if (lanes.tangent(r) == 0) to[o * R + r] += b[o];
    });
  };
  const auto activated = [&](const T *of, int o, int r) {
    const T value = of[o * R + lanes.lead(r)];
    return lanes.tangent(r) == 0 ? activate(kind, value) : slope(kind, value) * of[o * R + r];
  };

  // The input takes the place of what is computed later.
  for_each<R>(layer.inputs(), rows, [&](int k, int r) {
    const int tangent = lanes.tangent(r);
    const long long point = lanes.point_of(r);
    a[k * R + r] = k < layer.keep  ? x[layer.at(point, tangent) + keep[k]]
                   : tangent == 0 ? context[point * layer.context + k - layer.keep]
                                  : T(0);
  });
  for_each<R>(layer.dim, rows, [&](int k, int r) {
    const long long at = layer.at(lanes.point_of(r), lanes.tangent(r)) + k;
    out[at] = x[at];
  });
  map_to(h, 0, a);
  for_each<R>(hidden, rows, [&](int o, int r) { keep_at(layer.at_state(0), o, r, h[o * R + r]); });
  for (int block = 0; block < layer.blocks; block++) {
    for_each<R>(hidden, rows, [&](int o, int r) { a[o * R + r] = activated(h, o, r); });
    if (layer.depth == 2) {
      map_to(u, layer.map_of(block, 0), a);
      for_each<R>(hidden, rows, [&](int o, int r) {
        keep_at(layer.at_state(layer.state_of(block, 0)), o, r, u[o * R + r]);
        a[o * R + r] = activated(u, o, r);
      });
    }
    map_to(u, layer.map_of(block, layer.depth - 1), a);
    for_each<R>(hidden, rows, [&](int o, int r) {
      T v = u[o * R + r];
      if (layer.gated) {
        keep_at(layer.at_update(block), o, r, v);
        v *= gate(layer, block, context, theta, o, lanes.point_of(r));
      }
      if (layer.depth == 2) v += h[o * R + r];
      h[o * R + r] = v;
      keep_at(layer.at_state(layer.state_of(block, layer.depth - 1)), o, r, v);
    });
  }
  const T *in = h;
  if (layer.ends_activated()) {
    for_each<R>(hidden, rows, [&](int o, int r) { a[o * R + r] = activated(h, o, r); });
    in = a;
  }
  const T *last_bias = theta + layer.bias(layer.last());
  affine<R>(in, hidden, layer.outputs(), theta + layer.weights(layer.last()), [&](int o, const T(&sums)[R]) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (r < rows) p[o * all + r] = lanes.tangent(r) == 0 ? sums[r] + last_bias[o] : sums[r];
    }
  });
  // The hidden layers are not needed any more.
  T *log_slopes = h;
  for_each<R>(layer.moved, rows, [&](int t, int r) {
    const int tangent = lanes.tangent(r);
    const long long point = lanes.point_of(r);
    const T *of_t = p + (long long)t * layer.per() * all;
    const Column<T> column = {of_t + lanes.lead(r), all};
    const T v = x[layer.at(point, 0) + moved[t]];
    const long long at = layer.at(point, tangent) + moved[t];
    if (tangent == 0) {
      const Point<T> y = value(layer.map, v, column);
      out[at] = y.y;
      log_slopes[t * R + r] = y.log_slope;
    } else {
      const JetColumn<T> jets = {column, {of_t + r, all}};
      out[at] = value(layer.map, Jet<T>{v, x[at]}, jets).y.d;
    }
  });
  // In the order of the features, so that the sum is the same in every run.
  for_each<R>(1, rows, [&](int, int r) {
    if (lanes.tangent(r) != 0) return;
    T sum = T(0);
    for (int t = 0; t < layer.moved; t++) sum += log_slopes[t * R + r];
    const long long at = all * layer.dim + lanes.point_of(r);
    out[at] = layer.before ? x[at] + sum : sum;
  });
}

// Each matrix of weights transposed, [outs, ins], in its place: what the pullback multiplies by.
template <class T>
MFLOW_INLINE void coupling_transpose(Layer layer, const T *theta, T *out) {
  const int m = blockIdx.y, ins = layer.ins(m), outs = layer.outs(m);
  const T *from = theta + layer.weights(m);
  T *to = out + layer.weights(m);
  for (long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x; e < (long long)ins * outs;
       e += (long long)gridDim.x * blockDim.x) {
    to[e] = from[e % ins * outs + e / ins];
  }
}

// Where the cotangents of the output of a map lie in `deltas`: a map after the other, [outs, rows] each.
MFLOW_INLINE long long delta_of(const Layer &layer, int m) { return (long long)m * layer.hidden * layer.rows(); }

// g: cotangents of what coupling_forward gave. out: those of the points and what lies behind them, then of the context.
// deltas: of the outputs of all affine maps.
template <int R, class T>
MFLOW_INLINE void coupling_pull(Layer layer, const unsigned *keep, const unsigned *moved, const T *x, const T *context,
                                const T *theta, const T *transposed, const T *saved, const T *g, T *deltas, T *out) {
  const Lanes<R> lanes(layer);
  const int hidden = layer.hidden, kind = layer.activation, rows = lanes.rows;
  const long long all = layer.rows();
  MFLOW_SHARED(T, total);
  T *d = total + hidden * R, *e = d + hidden * R;
  const T *p = saved + layer.at_parameters() + lanes.first;
  T *g_p = deltas + delta_of(layer, layer.last()) + lanes.first;
  T *g_context = out + layer.packed();
  const auto kept = [&](long long start, int o, int r) { return saved[start + o * all + lanes.first + r]; };
  const auto put_delta = [&](int m, const T *from) {
    for_each<R>(hidden, rows, [&](int o, int r) {
      deltas[delta_of(layer, m) + o * all + lanes.first + r] = from[o * R + r];
    });
  };
  const auto back_through = [&](int m, const T *from, T *to) {
    affine<R>(from, layer.outs(m), layer.ins(m), transposed + layer.weights(m), Keep<T>{to});
  };
  // The cotangent of a hidden layer from `of`, that of its activation: a'(h) is what values and tangents were multiplied by,
  // and h changes the a'(h) of its tangents.
  const auto before = [&](int state, const T *of, int o, int r) {
    const long long start = layer.at_state(state);
    const int lead = lanes.lead(r);
    const T h = kept(start, o, lead);
    T sum = of[o * R + r] * slope(kind, h);
    if (r == lead && kind != RELU) {
      for (int k = r + 1; k < r + lanes.group; k++) {
        sum += of[o * R + k] * slope(kind, Jet<T>{h, kept(start, o, k)}).d;
      }
    }
    return sum;
  };

  for_each<R>(layer.dim, rows, [&](int k, int r) {
    const long long at = layer.at(lanes.point_of(r), lanes.tangent(r)) + k;
    out[at] = g[at];
  });
  for_each<R>(layer.before ? 1 : 0, rows, [&](int, int r) {
    const long long at = all * layer.dim + lanes.point_of(r);
    if (lanes.tangent(r) == 0) out[at] = g[at];
  });
  for_each<R>(layer.context, rows, [&](int c, int r) {
    if (lanes.tangent(r) == 0) g_context[lanes.point_of(r) * layer.context + c] = T(0);
  });
  // With jets along a tangent, the pullback of its cotangent gives those of the tangents, and as their derivatives what
  // comes to the values.
  for_each<R>(layer.moved, rows, [&](int t, int r) {
    if (lanes.tangent(r) != 0) return;
    const long long point = lanes.point_of(r), start = (long long)t * layer.per() * all + r;
    const long long at = layer.at(point, 0) + moved[t];
    const Column<T> column = {p + start, all};
    T *to = g_p + start;
    T sum = pullback(layer.map, x[at], column, Point<T>{g[at], g[all * layer.dim + point]},
                     [=](int k, T v) { to[k * all] = v; });
    for (int k = 1; k < lanes.group; k++) {
      const long long of_k = layer.at(point, k) + moved[t];
      const Point<Jet<T>> cotangent = {{g[of_k], T(0)}, {T(0), T(0)}};
      const Jet<T> pulled = pullback(layer.map, Jet<T>{x[at], x[of_k]}, JetColumn<T>{column, {p + start + k, all}},
                                     cotangent, [=](int i, Jet<T> v) {
                                       to[i * all + k] = v.v;
                                       to[i * all] += v.d;
                                     });
      out[of_k] = pulled.v;
      sum += pulled.d;
    }
    out[at] = sum;
  });
  // total: the cotangent of the last hidden layer.
  affine_of<R>([&](int i, int r) { return g_p[i * all + r]; }, rows, layer.outputs(), hidden,
               transposed + layer.weights(layer.last()), d, 2 * hidden, Keep<T>{total});
  if (layer.ends_activated()) {
    for_each<R>(hidden, rows, [&](int o, int r) { d[o * R + r] = before(layer.states() - 1, total, o, r); });
    for_each<R>(hidden, rows, [&](int o, int r) { total[o * R + r] = d[o * R + r]; });
  }
  for (int block = layer.blocks - 1; block >= 0; block--) {
    // Through the gate, the last map, its activation and, in a residual block, the first map and its own.
    const T *from = total;
    if (layer.gated) {
      for_each<R>(hidden, rows, [&](int o, int r) {
        const T s = gate(layer, block, context, theta, o, lanes.point_of(r));
        d[o * R + r] = total[o * R + r] * s;
        T sum = T(0);
        if (lanes.tangent(r) == 0) {
          for (int k = r; k < r + lanes.group; k++) sum += total[o * R + k] * kept(layer.at_update(block), o, k);
        }
        e[o * R + r] = sum * s * (T(1) - s);
      });
      const int m = layer.gate_of(block);
      put_delta(m, e);
      affine<R>(e, hidden, layer.context, transposed + layer.weights(m), [&](int c, const T(&sums)[R]) {
#pragma unroll
        for (int r = 0; r < R; r++) {
          if (r < rows && lanes.tangent(r) == 0) g_context[lanes.point_of(r) * layer.context + c] += sums[r];
        }
      });
      from = d;
    }
    const int m = layer.map_of(block, layer.depth - 1), into = layer.state_of(block, 0) - 1;
    put_delta(m, from);
    back_through(m, from, e);
    if (layer.depth == 2) {
      const int first = layer.map_of(block, 0);
      for_each<R>(hidden, rows, [&](int o, int r) { d[o * R + r] = before(into + 1, e, o, r); });
      put_delta(first, d);
      back_through(first, d, e);
      for_each<R>(hidden, rows, [&](int o, int r) { total[o * R + r] += before(into, e, o, r); });
    } else {
      for_each<R>(hidden, rows, [&](int o, int r) { total[o * R + r] = before(into, e, o, r); });
    }
  }
  put_delta(0, total);
  affine<R>(total, hidden, layer.inputs(), transposed, [&](int k, const T(&sums)[R]) {
#pragma unroll
    for (int r = 0; r < R; r++) {
      if (r >= rows) continue;
      const int tangent = lanes.tangent(r);
      const long long point = lanes.point_of(r);
      if (k < layer.keep) {
        out[layer.at(point, tangent) + keep[k]] += sums[r];
      } else if (tangent == 0) {
        g_context[point * layer.context + k - layer.keep] += sums[r];
      }
    }
  });
}

// The cotangents of all weights and biases, laid out like theta: for each map Σ_rows in[i] delta[o], with a last input that
// is 1 for values and 0 for tangents. blockIdx.z is the map and the part of the rows. sums: [parts, theta].
template <class T>
MFLOW_INLINE void coupling_weights(Layer layer, int parts, long long parameters, const unsigned *keep, const T *x,
                                   const T *context, const T *saved, const T *deltas, T *sums) {
  const int m = blockIdx.z / parts, part = blockIdx.z % parts;
  const int ins = layer.ins(m), outs = layer.outs(m), kind = layer.activation;
  const long long all = layer.rows();
  // Which hidden layer the map sees.
  const int block = (m - 1) / layer.in_block(), k = (m - 1) % layer.in_block();
  const int state = m == layer.last() ? layer.states() - 1 : layer.state_of(block, k) - 1;
  const bool activates = m < layer.last() || layer.ends_activated();
  const auto input = [&](int i, long long row) {
    // Rows are fewer than 2^31: their division is quicker so.
    const unsigned point = (unsigned)row / (unsigned)layer.group();
    const int tangent = (int)(row - (long long)point * layer.group());
    if (i == ins) return T(tangent == 0 ? 1 : 0);
    if (m == 0 && i < layer.keep) return x[layer.at(point, tangent) + keep[i]];
    if (m == 0 || layer.is_gate(m)) {
      return tangent == 0 ? context[(long long)point * layer.context + (m == 0 ? i - layer.keep : i)] : T(0);
    }
    const T *of = saved + layer.at_state(state) + i * all;
    if (!activates) return of[row];
    const T value = of[row - tangent];
    return tangent == 0 ? activate(kind, value) : slope(kind, value) * of[row];
  };
  const T *of_map = deltas + delta_of(layer, m);
  const auto delta = [&](int o, long long row) { return of_map[o * all + row]; };
  T *to = sums + part * parameters + layer.weights(m);
  tile_sums<T>(first_of(all, part, parts), first_of(all, part + 1, parts), ins + 1, outs, input, delta,
               [&](int i, int o, T v) { to[(long long)i * outs + o] = v; });
}

#define MFLOW_LAYER                                                                                                    \
  long long points, int tangents, int before, int dim, int keep_count, int moved_count, int context_count, int hidden, \
      int blocks, int depth, int gated, int activation, int bins, int circular, int inverse, double bound, double logit_scale
#define MFLOW_SIZES_WITH(tangents)                                                                                     \
  (Layer{points, tangents, before, dim, keep_count, moved_count, context_count, hidden, blocks, depth, gated,          \
         activation, RationalQuadratic{bins, circular != 0, inverse != 0, bound, logit_scale}})
#define MFLOW_SIZES MFLOW_SIZES_WITH(tangents)
// Those of blocks of R rows. Where the compiler knows that there are no tangents, it leaves their code out, and with it
// most of the registers.
#define MFLOW_COUPLING_ROWS(T, R, tangents_known, kind, name)                                                          \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      coupling_forward_##kind##_##name(MFLOW_LAYER, int save, const unsigned *keep, const unsigned *moved, const T *x, \
                                       const T *context, const T *theta, T *out, T *saved) {                           \
    (void)tangents;                                                                                                    \
    coupling_forward<R>(MFLOW_SIZES_WITH(tangents_known), save, keep, moved, x, context, theta, out, saved);           \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(128)                                                                    \
      coupling_pull_##kind##_##name(MFLOW_LAYER, const unsigned *keep, const unsigned *moved, const T *x,              \
                                    const T *context, const T *theta, const T *transposed, const T *saved, const T *g, \
                                    T *deltas, T *out) {                                                               \
    (void)tangents;                                                                                                    \
    coupling_pull<R>(MFLOW_SIZES_WITH(tangents_known), keep, moved, x, context, theta, transposed, saved, g, deltas,   \
                     out);                                                                                             \
  }
#define MFLOW_COUPLING(T, name)                                                                                        \
  MFLOW_COUPLING_ROWS(T, 16, 0, values, name)                                                                          \
  MFLOW_COUPLING_ROWS(T, 16, tangents, 16, name)                                                                       \
  MFLOW_COUPLING_ROWS(T, 32, tangents, 32, name)                                                                       \
  extern "C" __global__ void coupling_transpose_##name(MFLOW_LAYER, const T *theta, T *out) {                          \
    coupling_transpose(MFLOW_SIZES, theta, out);                                                                       \
  }                                                                                                                    \
  extern "C" __global__ void coupling_weights_##name(MFLOW_LAYER, int parts, long long parameters,                     \
                                                     const unsigned *keep, const T *x, const T *context,               \
                                                     const T *saved, const T *deltas, T *sums) {                       \
    coupling_weights(MFLOW_SIZES, parts, parameters, keep, x, context, saved, deltas, sums);                           \
  }                                                                                                                    \
  extern "C" __global__ void coupling_total_##name(long long parameters, int parts, const T *sums, T *out) {           \
    add_parts(parameters, parts, sums, out);                                                                           \
  }

MFLOW_COUPLING(float, f32)
MFLOW_COUPLING(double, f64)
