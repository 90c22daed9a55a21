// Blocks of threads that take ROWS rows: affine maps of them, and sums over all rows.
//
// What the threads of a block share lies feature by feature, [features, ROWS]; a thread computes one output of an affine
// map for all rows, so that a weight is read once for ROWS products, and neighbouring threads read neighbouring weights.
#pragma once
#include "real.cuh"

#ifdef MFLOW_ON_CPU
#define MFLOW_SHARED(T, name) T *name = shared_memory<T>()
#else
#define MFLOW_SHARED(T, name)                     \
  extern __shared__ double mflow_shared_memory[]; \
  T *name = (T *)mflow_shared_memory
#endif

constexpr int ROWS = 16;
// The side of a tile of weights, and the rows that are summed between two loads.
constexpr int TILE = 16;

// One affine map of ROWS rows: put(o, r, Σ_i in[i, r] w[i, o] + b[o]); no b is zero.
template <class T, class Put>
MFLOW_INLINE void affine(const T *in, long long stride, int rows, int ins, int outs, const T *w, const T *b,
                         const Put &put) {
  for (int o = threadIdx.x; o < outs; o += blockDim.x) {
    // Indices that the compiler knows: the sums stay in registers.
    T sums[ROWS];
    for (int r = 0; r < ROWS; r++) sums[r] = b ? b[o] : T(0);
    if (rows == ROWS) {
      for (int i = 0; i < ins; i++) {
        const T weight = w[(long long)i * outs + o];
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[r] += in[i * stride + r] * weight;
      }
    } else {
      for (int i = 0; i < ins; i++) {
        const T weight = w[(long long)i * outs + o];
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[r] += (r < rows ? in[i * stride + r] : T(0)) * weight;
      }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      if (r < rows) put(o, r, sums[r]);
    }
  }
  __syncthreads();
}

// Calls each(k, r) for k < count and all rows of the block, each pair by one thread.
template <class Each>
MFLOW_INLINE void for_each(int count, int rows, const Each &each) {
  for (int e = threadIdx.x; e < count * ROWS; e += blockDim.x) {
    if (e % ROWS < rows) each(e / ROWS, e % ROWS);
  }
  __syncthreads();
}

// put(i, o, Σ_row a(i, row) b(o, row)) for i < ins and o < outs: a tile of TILE x TILE sums for each block of as many
// threads, blockIdx.y of the rows i and blockIdx.x of the columns o. The order of a sum is that of the rows.
template <class T, class A, class B, class Put>
MFLOW_INLINE void tile_sums(long long rows, int ins, int outs, const A &a, const B &b, const Put &put) {
  const int first_i = blockIdx.y * TILE, first_o = blockIdx.x * TILE;
  if (first_i >= ins || first_o >= outs) return;
  MFLOW_SHARED(T, of_a);
  T *of_b = of_a + TILE * (TILE + 1);
  const int y = threadIdx.x / TILE, lane = threadIdx.x % TILE;
  T sum = T(0);
  for (long long start = 0; start < rows; start += TILE) {
    const long long row = start + lane;
    of_a[y * (TILE + 1) + lane] = row < rows && first_i + y < ins ? a(first_i + y, row) : T(0);
    of_b[y * (TILE + 1) + lane] = row < rows && first_o + y < outs ? b(first_o + y, row) : T(0);
    __syncthreads();
    for (int r = 0; r < TILE; r++) sum += of_a[y * (TILE + 1) + r] * of_b[lane * (TILE + 1) + r];
    __syncthreads();
  }
  if (first_i + y < ins && first_o + lane < outs) put(first_i + y, first_o + lane, sum);
}
