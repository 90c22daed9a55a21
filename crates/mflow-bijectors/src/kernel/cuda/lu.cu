// A linear map by its LU factors: points, the tangents of each behind them, and the log-determinant. Mirrors lu.rs, where
// theta is described.
#include "rows.cuh"

// What the products need, one behind the other: for the inverse the inverses of the factors.
struct Lu {
  int d;
  bool inverse;

  MFLOW_INLINE long long size() const { return (long long)d * d; }
  MFLOW_INLINE long long off() const { return (long long)d * (d - 1) / 2; }
  // L, U, their transposes, [d, d] each; the diagonal of U, its slopes by what stands in theta, the log-determinant.
  MFLOW_INLINE long long lower() const { return 0; }
  MFLOW_INLINE long long upper() const { return size(); }
  MFLOW_INLINE long long lower_t() const { return 2 * size(); }
  MFLOW_INLINE long long upper_t() const { return 3 * size(); }
  MFLOW_INLINE long long diagonal() const { return 4 * size(); }
  MFLOW_INLINE long long slopes() const { return diagonal() + d; }
  MFLOW_INLINE long long log_det() const { return slopes() + d; }
  MFLOW_INLINE long long bias() const { return 2 * off() + d; }
};

// One block. work: space for L, U and their inverses in double precision, [4, d, d].
template <class T>
MFLOW_INLINE void lu_factors(Lu lu, double least, const T *theta, double *work, T *factors) {
  const int d = lu.d;
  double *l = work, *u = work + lu.size(), *l_inverse = work + 2 * lu.size(), *u_inverse = work + 3 * lu.size();
  for (int e = threadIdx.x; e < d * d; e += blockDim.x) {
    const int i = e / d, j = e % d;
    l[e] = i == j ? 1 : j < i ? double(theta[(long long)i * (i - 1) / 2 + j]) : 0;
    u[e] = j > i ? double(theta[lu.off() + (long long)i * (2 * d - i - 1) / 2 + (j - i - 1)]) : 0;
    if (i == j) {
      const double raw = double(theta[2 * lu.off() + i]);
      u[e] = least + (raw > 0 ? raw : 0) + log1p(exp(raw > 0 ? -raw : raw));
      factors[lu.diagonal() + i] = T(u[e]);
      factors[lu.slopes() + i] = T(1 / (1 + exp(-raw)));
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    double sum = 0;
    for (int i = 0; i < d; i++) sum += log(u[(long long)i * d + i]);
    factors[lu.log_det()] = T(lu.inverse ? -sum : sum);
  }
  if (lu.inverse) {
    // Column j of the inverses, by substitution from above and from below.
    for (int j = threadIdx.x; j < d; j += blockDim.x) {
      for (int i = 0; i < d; i++) {
        double rest = i == j ? 1 : 0;
        for (int k = j; k < i; k++) rest -= l[(long long)i * d + k] * l_inverse[(long long)k * d + j];
        l_inverse[(long long)i * d + j] = i < j ? 0 : rest;
      }
      for (int i = d - 1; i >= 0; i--) {
        double rest = i == j ? 1 : 0;
        for (int k = i + 1; k <= j; k++) rest -= u[(long long)i * d + k] * u_inverse[(long long)k * d + j];
        u_inverse[(long long)i * d + j] = i > j ? 0 : rest / u[(long long)i * d + i];
      }
    }
    __syncthreads();
    l = l_inverse, u = u_inverse;
  }
  for (int e = threadIdx.x; e < d * d; e += blockDim.x) {
    const long long turned = (long long)(e % d) * d + e / d;
    factors[lu.lower() + e] = T(l[e]), factors[lu.upper() + e] = T(u[e]);
    factors[lu.lower_t() + turned] = T(l[e]), factors[lu.upper_t() + turned] = T(u[e]);
  }
}

// As rows, forward is w = x Uᵀ, y = w Lᵀ + b; inverse is w = (y - b) L⁻ᵀ, x = w U⁻ᵀ. Tangents have no bias. Leaves w and
// the result in shared memory.
template <class T>
MFLOW_INLINE void lu_rows(const Lu &lu, long long points, long long first, int rows, const T *bias, const T *factors,
                          T *in, T *w, T *result) {
  const int d = lu.d;
  const T *lower = factors + lu.lower_t(), *upper = factors + lu.upper_t();
  const auto add_bias = [&](T *to, T sign) {
    for_each<ROWS>(d, rows, [&](int k, int r) {
      if (first + r < points) to[k * ROWS + r] += sign * bias[k];
    });
  };
  if (lu.inverse) add_bias(in, T(-1));
  affine<ROWS>(in, d, d, lu.inverse ? lower : upper, Keep<T>{w});
  affine<ROWS>(w, d, d, lu.inverse ? upper : lower, Keep<T>{result});
  if (!lu.inverse) add_bias(result, T(1));
}

// all: points and tangents together; behind them in x are the log-determinants of the layers before, if `before`. out: laid
// out like x, with log-determinants.
template <class T>
MFLOW_INLINE void lu_forward(Lu lu, int before, long long points, long long all, const T *x, const T *theta, const T *factors,
                             T *out) {
  const int d = lu.d;
  const long long first = (long long)blockIdx.x * ROWS;
  const int rows = (int)(all - first < ROWS ? all - first : ROWS);
  MFLOW_SHARED(T, in);
  T *w = in + d * ROWS, *result = w + d * ROWS;
  for_each<ROWS>(d, rows, [&](int k, int r) { in[k * ROWS + r] = x[(first + r) * d + k]; });
  lu_rows(lu, points, first, rows, theta + lu.bias(), factors, in, w, result);
  for_each<ROWS>(d, rows, [&](int k, int r) { out[(first + r) * d + k] = result[k * ROWS + r]; });
  for_each<ROWS>(1, rows, [&](int, int r) {
    const long long at = all * d + first + r;
    if (first + r < points) out[at] = before ? x[at] + factors[lu.log_det()] : factors[lu.log_det()];
  });
}

// g: laid out like the results. out: the cotangents of x and of what lies behind it. sides: the two sides of the sums that are the cotangents of L
// and of U, [4, d, all].
template <class T>
MFLOW_INLINE void lu_pull(Lu lu, int before, long long points, long long all, const T *x, const T *theta,
                          const T *factors, const T *g, T *sides, T *out) {
  const int d = lu.d;
  const long long first = (long long)blockIdx.x * ROWS;
  const int rows = (int)(all - first < ROWS ? all - first : ROWS);
  MFLOW_SHARED(T, in);
  T *w = in + d * ROWS, *result = w + d * ROWS, *of_w = result + d * ROWS, *of_x = of_w + d * ROWS;
  for_each<ROWS>(d, rows, [&](int k, int r) { in[k * ROWS + r] = x[(first + r) * d + k]; });
  lu_rows(lu, points, first, rows, theta + lu.bias(), factors, in, w, result);
  // What was multiplied last is pulled back first.
  const T *last = factors + (lu.inverse ? lu.upper() : lu.lower()), *other = factors + (lu.inverse ? lu.lower() : lu.upper());
  for_each<ROWS>(before ? 1 : 0, rows, [&](int, int r) {
    if (first + r < points) out[all * d + first + r] = g[all * d + first + r];
  });
  for_each<ROWS>(d, rows, [&](int k, int r) { of_x[k * ROWS + r] = g[(first + r) * d + k]; });
  affine<ROWS>(of_x, d, d, last, Keep<T>{of_w});
  const auto side = [&](int number, int k, int r) -> T & {
    return sides[((long long)number * d + k) * all + first + r];
  };
  // d(L⁻¹) = -L⁻¹ dL L⁻¹: the same products with the inverses; the sign comes later.
  for_each<ROWS>(d, rows, [&](int k, int r) {
    if (!lu.inverse) side(0, k, r) = of_x[k * ROWS + r];
    side(1, k, r) = w[k * ROWS + r];
    side(2, k, r) = of_w[k * ROWS + r];
    side(3, k, r) = lu.inverse ? result[k * ROWS + r] : in[k * ROWS + r];
  });
  affine<ROWS>(of_w, d, d, other, [&](int o, const T(&sums)[ROWS]) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      if (r >= rows) continue;
      out[(first + r) * d + o] = sums[r];
      if (lu.inverse) side(0, o, r) = sums[r];
    }
  });
}

// sums: Σ a bᵀ of the two pairs of sides, [parts, 2, d + 1, d + 1]; the last column of the first is the sum over the
// points, in its corner that of the cotangents of the log-determinants. blockIdx.z is the pair and the part of the rows.
template <class T>
MFLOW_INLINE void lu_sums(Lu lu, int parts, long long points, long long all, const T *g, const T *sides, T *sums) {
  const int d = lu.d, pair = blockIdx.z / parts, part = blockIdx.z % parts;
  const auto a = [&](int i, long long row) {
    if (i < d) return sides[((long long)2 * pair * d + i) * all + row];
    return row < points ? g[all * d + row] : T(0);
  };
  const auto b = [&](int o, long long row) {
    if (o < d) return sides[((long long)(2 * pair + 1) * d + o) * all + row];
    return row < points ? T(1) : T(0);
  };
  T *to = sums + (2LL * part + pair) * (d + 1) * (d + 1);
  tile_sums<T>(first_of(all, part, parts), first_of(all, part + 1, parts), d + 1, d + 1, a, b,
               [&](int i, int o, T v) { to[(long long)i * (d + 1) + o] = v; });
}

// The cotangent of theta, in its order.
template <class T>
MFLOW_INLINE void lu_gather(Lu lu, int parts, const T *factors, const T *sums, T *out) {
  const int d = lu.d;
  const T sign = lu.inverse ? T(-1) : T(1);
  // In the order of the parts.
  const auto sum = [&](int pair, long long at) {
    T total = T(0);
    for (int part = 0; part < parts; part++) total += sums[(2LL * part + pair) * (d + 1) * (d + 1) + at];
    return total;
  };
  const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (e < (long long)d * d) {
    const int i = (int)(e / d), j = (int)(e % d);
    const long long at = (long long)i * (d + 1) + j;
    if (j < i) out[(long long)i * (i - 1) / 2 + j] = sign * sum(0, at);
    if (j > i) out[lu.off() + (long long)i * (2 * d - i - 1) / 2 + (j - i - 1)] = sign * sum(1, at);
    if (i == j) {
      const T of_log_det = sum(0, (long long)d * (d + 1) + d);
      const T u = factors[lu.diagonal() + i];
      out[2 * lu.off() + i] = sign * (sum(1, at) + of_log_det / u) * factors[lu.slopes() + i];
      out[lu.bias() + i] = sign * sum(0, (long long)i * (d + 1) + d);
    }
  }
}

#define MFLOW_LU (Lu{d, inverse != 0})
#define MFLOW_LU_KERNELS(T, name)                                                                                      \
  extern "C" __global__ void lu_factors_##name(int d, int inverse, double least, const T *theta, double *work,        \
                                               T *factors) {                                                           \
    lu_factors(MFLOW_LU, least, theta, work, factors);                                                                 \
  }                                                                                                                    \
  extern "C" __global__ void lu_forward_##name(int d, int inverse, int before, long long points, long long all,       \
                                               const T *x, const T *theta, const T *factors, T *out) {                 \
    lu_forward(MFLOW_LU, before, points, all, x, theta, factors, out);                                                 \
  }                                                                                                                    \
  extern "C" __global__ void lu_pull_##name(int d, int inverse, int before, long long points, long long all,          \
                                            const T *x, const T *theta, const T *factors, const T *g, T *sides,       \
                                            T *out) {                                                                  \
    lu_pull(MFLOW_LU, before, points, all, x, theta, factors, g, sides, out);                                          \
  }                                                                                                                    \
  extern "C" __global__ void lu_sums_##name(int d, int inverse, int parts, long long points, long long all,           \
                                            const T *g, const T *sides, T *sums) {                                     \
    lu_sums(MFLOW_LU, parts, points, all, g, sides, sums);                                                             \
  }                                                                                                                    \
  extern "C" __global__ void lu_gather_##name(int d, int inverse, int parts, const T *factors, const T *sums,         \
                                              T *out) {                                                                \
    lu_gather(MFLOW_LU, parts, factors, sums, out);                                                                    \
  }

MFLOW_LU_KERNELS(float, f32)
MFLOW_LU_KERNELS(double, f64)
