// Features in another order: mirrors permute.rs. x: rows, then log-determinants or none; out: the same, with or without
// them, zeros where x has none. n: numbers of the rows.

template <class T>
__device__ __forceinline__ void permute(int dim, long long n, long long given, long long len, const unsigned *order,
                                        const T *x, T *out) {
  const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= len) return;
  if (e < n) {
    out[e] = x[e - e % dim + order[e % dim]];
  } else {
    out[e] = e < given ? x[e] : T(0);
  }
}

extern "C" __global__ void permute_f32(int dim, long long n, long long given, long long len, const unsigned *order,
                                       const float *x, float *out) {
  permute(dim, n, given, len, order, x, out);
}
extern "C" __global__ void permute_f64(int dim, long long n, long long given, long long len, const unsigned *order,
                                       const double *x, double *out) {
  permute(dim, n, given, len, order, x, out);
}
