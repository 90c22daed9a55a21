// What CUDA C has beyond C++: so that tests run kernels without a GPU. The threads of a block are threads.
#pragma once
#include <barrier>
#include <cmath>
#include <thread>
#include <vector>

#define MFLOW_ON_CPU
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)

struct Index {
  unsigned x = 0, y = 0, z = 0;
};
static thread_local Index threadIdx, blockIdx;
static Index blockDim, gridDim;

static std::barrier<> *block_barrier;
inline void __syncthreads() { block_barrier->arrive_and_wait(); }

alignas(16) static unsigned char block_memory[48 * 1024];
template <class T>
T *shared_memory() {
  return (T *)block_memory;
}

// Calls the kernel once for each thread of a grid of blocks, block after block.
template <class Kernel>
void launch_blocks(Index grid, unsigned threads, Kernel kernel) {
  gridDim = grid;
  blockDim = {threads, 1, 1};
  std::barrier<> barrier(threads);
  block_barrier = &barrier;
  const auto run = [&](unsigned t) {
    threadIdx = {t, 0, 0};
    for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++) {
      for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++) {
        for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
          // What a block before left must not be taken for what this one wrote.
          __syncthreads();
          if (t == 0) {
            for (unsigned char &byte : block_memory) byte = 0xff;
          }
          __syncthreads();
          kernel();
        }
      }
    }
  };
  // Threads are started once: blocks are many.
  std::vector<std::thread> all;
  for (unsigned t = 0; t < threads; t++) all.emplace_back(run, t);
  for (std::thread &one : all) one.join();
}

// The same for a kernel of independent threads, enough of them for n elements, and some more.
template <class Kernel>
void launch(long long n, unsigned threads, Kernel kernel) {
  blockDim = {threads, 1, 1};
  gridDim = {(unsigned)((n + threads - 1) / threads), 1, 1};
  for (blockIdx = {}; blockIdx.x < gridDim.x; blockIdx.x++) {
    for (threadIdx = {}; threadIdx.x < threads; threadIdx.x++) kernel();
  }
}
