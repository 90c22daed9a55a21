// An update of all parameters at once, and the norm of their gradient: mirrors update.rs and flat.rs of mflow-train.
//
// Each parameter is an array of its own, and so is its gradient. A launch takes a table of some of them by value, so that
// nothing has to be copied to the device before. blockIdx.y is the entry that a block works at.
#include "rows.cuh"

constexpr int ENTRIES = 120;

// A parameter: where it lies, its gradient, null for one that is zero, where it begins in the buffers, how long it is.
template <class T>
struct Entry {
  T *theta;
  const T *gradient;
  long long offset, len;
};

// With the buffers of the rule, which hold what is kept of all parameters, one behind the other.
template <class T>
struct Table {
  Entry<T> of[ENTRIES];
  T *first, *second;
};
static_assert(sizeof(Table<float>) == 8 * (4 * ENTRIES + 2), "as optimizer.rs fills it");

// Calls each(i) for the elements i of an entry, each by one thread.
template <class Each>
MFLOW_INLINE void for_elements(long long len, const Each &each) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < len; i += step) each(i);
}

// The sum over the threads of a block, for its first thread; their number is a power of two.
MFLOW_INLINE double block_sum(double of_thread) {
  MFLOW_SHARED(double, sums);
  sums[threadIdx.x] = of_thread;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  return sums[0];
}

// A sum of squares for each block, in double precision, in which no square of a float overflows. Squares of doubles from
// 1e154 on do, as on the CPU: such a gradient counts as infinite.
template <class T>
MFLOW_INLINE void gradient_squares(const Table<T> &table, int first, double *sums) {
  const Entry<T> entry = table.of[blockIdx.y];
  double sum = 0;
  for_elements(entry.len, [&](long long i) {
    const double g = double(entry.gradient[i]);
    sum += g * g;
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[first + blockIdx.y * gridDim.x + blockIdx.x] = sum;
}

// One block: the root of the sum of all, always in the same order.
MFLOW_INLINE void gradient_norm(int count, const double *sums, double *norm) {
  double sum = 0;
  for (int i = threadIdx.x; i < count; i += blockDim.x) sum += sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) norm[0] = sqrt(sum);
}

// The buffers are the first and the second moment.
template <class T>
MFLOW_INLINE void adam(const Table<T> &table, double scale, double rate, double keep, double decay, double correction,
                       double beta1, double beta2, double epsilon) {
  const Entry<T> entry = table.of[blockIdx.y];
  T *const first = table.first + entry.offset, *const second = table.second + entry.offset;
  for_elements(entry.len, [&](long long i) {
    const T theta = entry.theta[i];
    const T g = (entry.gradient ? entry.gradient[i] * T(scale) : T(0)) + T(decay) * theta;
    const T m = T(beta1) * first[i] + T(1 - beta1) * g;
    const T v = T(beta2) * second[i] + T(1 - beta2) * g * g;
    first[i] = m;
    second[i] = v;
    entry.theta[i] = T(keep) * theta - T(rate) * m / (sqrt_of(v * T(correction)) + T(epsilon));
  });
}

// The buffer is the momentum; null without one.
template <class T>
MFLOW_INLINE void sgd(const Table<T> &table, double scale, double rate, double decay, double momentum, int nesterov) {
  const Entry<T> entry = table.of[blockIdx.y];
  T *const buffer = table.first ? table.first + entry.offset : nullptr;
  for_elements(entry.len, [&](long long i) {
    const T theta = entry.theta[i];
    const T g = (entry.gradient ? entry.gradient[i] * T(scale) : T(0)) + T(decay) * theta;
    T step = g;
    if (buffer) {
      const T b = T(momentum) * buffer[i] + g;
      buffer[i] = b;
      step = nesterov ? g + T(momentum) * b : b;
    }
    entry.theta[i] = theta - T(rate) * step;
  });
}

#define MFLOW_OPTIMIZER(T, name)                                                                                       \
  extern "C" __global__ void gradient_squares_##name(const Table<T> table, int first, double *sums) {                 \
    gradient_squares(table, first, sums);                                                                              \
  }                                                                                                                    \
  extern "C" __global__ void gradient_norm_##name(int count, const double *sums, double *norm) {                      \
    gradient_norm(count, sums, norm);                                                                                  \
  }                                                                                                                    \
  extern "C" __global__ void adam_##name(const Table<T> table, double scale, double rate, double keep, double decay,  \
                                         double correction, double beta1, double beta2, double epsilon) {             \
    adam(table, scale, rate, keep, decay, correction, beta1, beta2, epsilon);                                          \
  }                                                                                                                    \
  extern "C" __global__ void sgd_##name(const Table<T> table, double scale, double rate, double decay,                \
                                        double momentum, int nesterov) {                                               \
    sgd(table, scale, rate, decay, momentum, nesterov);                                                                \
  }

MFLOW_OPTIMIZER(float, f32)
MFLOW_OPTIMIZER(double, f64)
