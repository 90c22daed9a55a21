// An element-wise map with its parameters, one thread for each element: mirrors pointwise.rs and univariate.rs.
//
// x: [n]. Parameter k of element i lies at k * stride + i * step: (stride, step) is (n, 1) of [P, n], where neighbouring
// threads read neighbouring numbers, and (1, P) of [n, P].
#include "rational_quadratic.cuh"

MFLOW_INLINE long long element() {
  return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// out: y [n], log-slopes [n].
template <class T>
MFLOW_INLINE void values(RationalQuadratic map, long long n, long long stride, long long step, const T *x, const T *p, T *out) {
  const long long i = element();
  if (i >= n) return;
  const Point<T> point = value(map, x[i], Column<T>{p + i * step, stride});
  out[i] = point.y;
  out[n + i] = point.log_slope;
}

// g: cotangents of y and of the log-slopes, [2 n]. out: those of x [n], then of the parameters, laid out like p.
template <class T>
MFLOW_INLINE void pull(RationalQuadratic map, long long n, long long stride, long long step, const T *x, const T *p, const T *g,
                       T *out) {
  const long long i = element();
  if (i >= n) return;
  T *g_p = out + n + i * step;
  const auto put = [=](int k, T v) { g_p[k * stride] = v; };
  out[i] = pullback(map, x[i], Column<T>{p + i * step, stride}, Point<T>{g[i], g[n + i]}, put);
}

// out: y, l, dy/dx [n] each, dy/dp laid out like p; and with log_det dl/dx [n], dl/dp.
template <class T>
MFLOW_INLINE void gradient(RationalQuadratic map, int log_det, long long n, long long stride, long long step, const T *x,
                           const T *p, T *out) {
  const long long i = element();
  if (i >= n) return;
  const long long count = 3LL * map.bins - (map.circular ? 0 : 1);
  const Column<T> of_i = {p + i * step, stride};
  const Point<T> point = value(map, x[i], of_i);
  out[i] = point.y;
  out[n + i] = point.log_slope;
  T *block = out + 2 * n;
  for (int of_slope = 0; of_slope <= log_det; of_slope++) {
    T *g_p = block + n + i * step;
    const auto put = [=](int k, T v) { g_p[k * stride] = v; };
    block[i] = pullback(map, x[i], of_i, Point<T>{T(1 - of_slope), T(of_slope)}, put);
    block += n * (1 + count);
  }
}

// The pullback of gradient(): g is laid out like its results. In jets along the cotangents of the first derivatives:
// the Hessian times that vector. out: those of x [n], then of the parameters, laid out like p.
template <class T>
MFLOW_INLINE void gradient_pull(RationalQuadratic map, int log_det, long long n, long long stride, long long step, const T *x,
                                const T *p, const T *g, T *out) {
  const long long i = element();
  if (i >= n) return;
  const long long count = 3LL * map.bins - (map.circular ? 0 : 1);
  const Column<T> of_i = {p + i * step, stride};
  T *g_p = out + n + i * step;
  const T *block = g + 2 * n;
  T total = T(0);
  for (int of_slope = 0; of_slope <= log_det; of_slope++) {
    const Point<Jet<T>> cotangent = of_slope
                                        ? Point<Jet<T>>{{T(0), T(0)}, {T(1), T(0)}}
                                        : Point<Jet<T>>{{T(1), g[i]}, {T(0), g[n + i]}};
    const JetColumn<T> jets = {of_i, {block + n + i * step, stride}};
    const auto put = [=](int k, Jet<T> v) { g_p[k * stride] = of_slope ? g_p[k * stride] + v.d : v.d; };
    total += pullback(map, Jet<T>{x[i], block[i]}, jets, cotangent, put).d;
    block += n * (1 + count);
  }
  out[i] = total;
}

#define MFLOW_MAP int bins, int circular, int inverse, double bound, double logit_scale
#define MFLOW_RQ (RationalQuadratic{bins, circular != 0, inverse != 0, bound, logit_scale})
#define MFLOW_KERNELS(T, name)                                                                                         \
  extern "C" __global__ void rq_values_##name(MFLOW_MAP, long long n, long long stride, long long step, const T *x, const T *p,       \
                                              T *out) {                                                                \
    values<T>(MFLOW_RQ, n, stride, step, x, p, out);                                                                   \
  }                                                                                                                    \
  extern "C" __global__ void rq_pull_##name(MFLOW_MAP, long long n, long long stride, long long step, const T *x, const T *p,         \
                                            const T *g, T *out) {                                                      \
    pull<T>(MFLOW_RQ, n, stride, step, x, p, g, out);                                                                  \
  }                                                                                                                    \
  extern "C" __global__ void rq_gradient_##name(MFLOW_MAP, int log_det, long long n, long long stride, long long step, const T *x,    \
                                                const T *p, T *out) {                                                  \
    gradient<T>(MFLOW_RQ, log_det, n, stride, step, x, p, out);                                                        \
  }                                                                                                                    \
  extern "C" __global__ void rq_gradient_pull_##name(MFLOW_MAP, int log_det, long long n, long long stride, long long step,           \
                                                     const T *x, const T *p, const T *g, T *out) {                     \
    gradient_pull<T>(MFLOW_RQ, log_det, n, stride, step, x, p, g, out);                                                \
  }

MFLOW_KERNELS(float, f32)
MFLOW_KERNELS(double, f64)
