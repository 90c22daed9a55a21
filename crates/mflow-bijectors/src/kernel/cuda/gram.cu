// The log-determinant of the Gram matrix of tangent rows, and its pullback: mirrors gram.rs of mflow-core. All sums are in
// double precision.
//
// rows: [points, n, d]. The Cholesky factors lie as [n, n, points], so that neighbouring threads write neighbouring
// numbers.

// One thread for each point.
template <class T>
__device__ __forceinline__ void gram_factor(long long points, int n, int d, const T *rows, double *l, T *log_det) {
  const long long b = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (b >= points) return;
  const T *of_b = rows + b * n * d;
  double total = 0;
  for (int i = 0; i < n; i++) {
    for (int j = 0; j <= i; j++) {
      double gram = 0;
      for (int t = 0; t < d; t++) gram += double(of_b[i * d + t]) * double(of_b[j * d + t]);
      double known = 0;
      for (int k = 0; k < j; k++) known += l[((long long)i * n + k) * points + b] * l[((long long)j * n + k) * points + b];
      const double rest = gram - known;
      double entry;
      if (i == j) {
        // A pivot within the rounding of its sums is a row that depends on the others.
        const double rounding = (n + d) * 2.220446049250313e-16 * gram;
        const double pivot = rest <= rounding ? 0 : rest;
        total += log(pivot);
        entry = sqrt(pivot);
      } else {
        entry = rest / l[((long long)j * n + j) * points + b];
      }
      l[((long long)i * n + j) * points + b] = entry;
    }
  }
  log_det[b] = T(total);
}

// One thread for each column of each point: 2 g (T Tᵀ)⁻¹ T by two triangular solves, in `work`: [n, points, d].
template <class T>
__device__ __forceinline__ void gram_pull(long long points, int n, int d, const T *rows, const double *l, const T *g,
                                          double *work, T *out) {
  const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x, columns = points * d;
  if (e >= columns) return;
  const long long b = e / d;
  const int t = int(e % d);
  for (int i = 0; i < n; i++) {
    double rest = double(rows[(b * n + i) * d + t]);
    for (int k = 0; k < i; k++) rest -= l[((long long)i * n + k) * points + b] * work[(long long)k * columns + e];
    work[(long long)i * columns + e] = rest / l[((long long)i * n + i) * points + b];
  }
  const double scale = 2 * double(g[b]);
  for (int i = n - 1; i >= 0; i--) {
    double rest = work[(long long)i * columns + e];
    for (int k = i + 1; k < n; k++) rest -= l[((long long)k * n + i) * points + b] * work[(long long)k * columns + e];
    rest /= l[((long long)i * n + i) * points + b];
    work[(long long)i * columns + e] = rest;
    out[(b * n + i) * d + t] = T(scale * rest);
  }
}

#define MFLOW_GRAM(T, name)                                                                                            \
  extern "C" __global__ void gram_factor_##name(long long points, int n, int d, const T *rows, double *l,             \
                                                T *log_det) {                                                          \
    gram_factor(points, n, d, rows, l, log_det);                                                                       \
  }                                                                                                                    \
  extern "C" __global__ void gram_pull_##name(long long points, int n, int d, const T *rows, const double *l,         \
                                              const T *g, double *work, T *out) {                                      \
    gram_pull(points, n, d, rows, l, g, work, out);                                                                    \
  }

MFLOW_GRAM(float, f32)
MFLOW_GRAM(double, f64)
