// Blocks of threads that take R rows: affine maps of them, and sums over all rows.
//
// What the threads of a block share lies feature by feature, [features, R]; a thread computes one output of an affine map
// for all rows, so that a weight is read once for R products, and neighbouring threads read neighbouring weights.
#pragma once
#include "real.cuh"

#ifdef MFLOW_ON_CPU
#define MFLOW_SHARED(T, name) T *name = shared_memory<T>()
#else
#define MFLOW_SHARED(T, name)                                \
  extern __shared__ __align__(16) double mflow_shared_memory[]; \
  T *name = (T *)mflow_shared_memory
#endif

// The rows of a block, if nothing asks for more.
constexpr int ROWS = 16;
// The side of a tile of sums, the threads along it, and the rows that are summed between two loads.
constexpr int TILE = 64;
constexpr int SIDE = 16;
constexpr int STEP = 16;
constexpr int PER_SIDE = TILE / SIDE;

// sums[r] += Σ_i in[i, r] w[i, o]; in lies in shared memory. Rows that a block has not are summed too, and not used.
template <int R, class T>
MFLOW_INLINE void add_products(T (&sums)[R], const T *in, int ins, int outs, const T *w, int o) {
#pragma unroll 4
  for (int i = 0; i < ins; i++) {
    const T weight = w[(long long)i * outs + o];
    // With a known alignment several numbers are read at once.
    const T *at = (const T *)__builtin_assume_aligned(in + i * R, 16);
#pragma unroll
    for (int r = 0; r < R; r++) sums[r] += at[r] * weight;
  }
}

// One affine map without bias: put(o, sums) gets Σ_i in[i, r] w[i, o] of all rows. in lies in shared memory.
template <int R, class T, class Put>
MFLOW_INLINE void affine(const T *in, int ins, int outs, const T *w, const Put &put) {
  for (int o = threadIdx.x; o < outs; o += blockDim.x) {
    // Indices that the compiler knows: the sums stay in registers.
    T sums[R] = {};
    add_products<R>(sums, in, ins, outs, w, o);
    put(o, sums);
  }
  __syncthreads();
}

// Keeps the sums of an affine map in shared memory, [outs, R].
template <class T>
struct Keep {
  T *to;
  template <int R>
  MFLOW_INLINE void operator()(int o, const T (&sums)[R]) const {
#pragma unroll
    for (int r = 0; r < R; r++) to[o * R + r] = sums[r];
  }
};

// Calls each(k, r) for k < count and all rows of the block, each pair by one thread.
template <int R, class Each>
MFLOW_INLINE void for_each(int count, int rows, const Each &each) {
  for (int e = threadIdx.x; e < count * R; e += blockDim.x) {
    if (e % R < rows) each(e / R, e % R);
  }
  __syncthreads();
}

// The same as affine() for numbers load(i, r) that lie elsewhere; stage: shared memory for `room` of them of each row.
template <int R, class T, class Load, class Put>
MFLOW_INLINE void affine_of(const Load &load, int rows, int ins, int outs, const T *w, T *stage, int room,
                            const Put &put) {
  for (int base = 0; base < outs; base += blockDim.x) {
    const int o = base + threadIdx.x;
    T sums[R] = {};
    for (int start = 0; start < ins; start += room) {
      const int n = ins - start < room ? ins - start : room;
      for_each<R>(n, rows, [&](int k, int r) { stage[k * R + r] = load(start + k, r); });
      if (o < outs) add_products<R>(sums, stage, n, outs, w + (long long)start * outs, o);
      __syncthreads();
    }
    if (o < outs) put(o, sums);
  }
  __syncthreads();
}

// put(i, o, Σ_row a(i, row) b(o, row)) over first <= row < end, for i < ins and o < outs: a tile of TILE x TILE sums for
// each block of SIDE x SIDE threads, blockIdx.y of the rows i and blockIdx.x of the columns o. The order of a sum is that
// of the rows.
template <class T, class A, class B, class Put>
MFLOW_INLINE void tile_sums(long long first, long long end, int ins, int outs, const A &a, const B &b, const Put &put) {
  const int first_i = blockIdx.y * TILE, first_o = blockIdx.x * TILE;
  if (first_i >= ins || first_o >= outs) return;
  // Not a multiple of the banks of shared memory.
  constexpr int WIDTH = STEP + 1;
  MFLOW_SHARED(T, of_a);
  T *of_b = of_a + TILE * WIDTH;
  const int y = threadIdx.x / SIDE, x = threadIdx.x % SIDE;
  T sums[PER_SIDE][PER_SIDE] = {};
  for (long long start = first; start < end; start += STEP) {
    for (int e = threadIdx.x; e < TILE * STEP; e += SIDE * SIDE) {
      const int k = e / STEP, lane = e % STEP;
      const long long row = start + lane;
      of_a[k * WIDTH + lane] = row < end && first_i + k < ins ? a(first_i + k, row) : T(0);
      of_b[k * WIDTH + lane] = row < end && first_o + k < outs ? b(first_o + k, row) : T(0);
    }
    __syncthreads();
#pragma unroll 4
    for (int r = 0; r < STEP; r++) {
      T left[PER_SIDE], right[PER_SIDE];
#pragma unroll
      for (int k = 0; k < PER_SIDE; k++) {
        left[k] = of_a[(y + k * SIDE) * WIDTH + r];
        right[k] = of_b[(x + k * SIDE) * WIDTH + r];
      }
#pragma unroll
      for (int i = 0; i < PER_SIDE; i++) {
#pragma unroll
        for (int o = 0; o < PER_SIDE; o++) sums[i][o] += left[i] * right[o];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < PER_SIDE; i++) {
#pragma unroll
    for (int o = 0; o < PER_SIDE; o++) {
      const int at_i = first_i + y + i * SIDE, at_o = first_o + x + o * SIDE;
      if (at_i < ins && at_o < outs) put(at_i, at_o, sums[i][o]);
    }
  }
}

// The rows of part `part` of `parts` of them: sums over many rows are shared among blocks.
MFLOW_INLINE long long first_of(long long rows, int part, int parts) { return rows * part / parts; }

// out[e] = Σ_part sums[part, e], in their order, for e < n.
template <class T>
MFLOW_INLINE void add_parts(long long n, int parts, const T *sums, T *out) {
  const long long e = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (e >= n) return;
  T total = T(0);
  for (int part = 0; part < parts; part++) total += sums[part * n + e];
  out[e] = total;
}
