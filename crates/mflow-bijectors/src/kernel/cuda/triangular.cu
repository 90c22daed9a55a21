// The inverse of a lower triangular matrix by substitution, one thread for each column: mirrors triangular.rs. Sums are in
// double precision.

template <class T>
__device__ __forceinline__ void lower_inverse(int d, const T *l, T *out) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= d) return;
  for (int i = 0; i < j; i++) out[(long long)i * d + j] = T(0);
  for (int i = j; i < d; i++) {
    const T *row = l + (long long)i * d;
    double rest = i == j ? 1 : 0;
    for (int k = j; k < i; k++) rest -= double(row[k]) * double(out[(long long)k * d + j]);
    out[(long long)i * d + j] = T(rest / double(row[i]));
  }
}

extern "C" __global__ void lower_inverse_f32(int d, const float *l, float *out) { lower_inverse(d, l, out); }
extern "C" __global__ void lower_inverse_f64(int d, const double *l, double *out) { lower_inverse(d, l, out); }
