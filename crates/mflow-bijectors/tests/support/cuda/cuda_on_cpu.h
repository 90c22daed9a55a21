// What CUDA C has beyond C++, for one thread after the other: so that tests run kernels without a GPU.
#pragma once
#include <cmath>

#define __global__
#define __device__
#define __forceinline__ inline

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

// Calls the kernel once for each thread of enough blocks of `threads` for `n` elements, and for some more.
template <class Kernel>
void launch(long long n, unsigned threads, Kernel kernel) {
  blockDim.x = threads;
  gridDim.x = (unsigned)((n + threads - 1) / threads);
  for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
    for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) kernel();
  }
}
