// CUDA C on the CPU: what .cu files need beyond C++. Included before them, once for each file.
#pragma once
#include <cassert>

#include <algorithm>
#include <bit>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cuda/std/limits>
#include <limits>
#include <math.h>
#include <stdint.h>
#include <type_traits>

#include "kernel.h"

#define MFLOW_ON_CPU
// Below the ones from which candle has half-precision kernels.
#define __CUDA_ARCH__ 520
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __align__(n) alignas(n)
// Blocks run one after the other, so that all threads of one share what is static.
#define __shared__ static

struct Dim3 {
  unsigned x, y, z;
};
extern Dim3 threadIdx, blockIdx, blockDim, gridDim;
extern unsigned char *fake_shared;

template <class T>
T *shared_memory() {
  return (T *)fake_shared;
}
void fake_barrier();
inline void __syncthreads() {
  fake_barrier();
  asm volatile("" ::: "memory");
}
uint64_t fake_exchange(uint64_t value, int mask);
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = fake_exchange(bits, mask);
  memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T>
T atomicAdd(T *at, T value) {
  const T old = *at;
  *at += value;
  return old;
}

struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
struct __half {};
struct __nv_bfloat16 {};
struct __nv_fp8_e4m3 {
  unsigned char __x;
};
enum { __NV_E4M3 };
inline __half __nv_cvt_fp8_to_halfraw(unsigned char, int) { abort(); }
inline float __half2float(__half) { abort(); }
template <class A, class B>
auto min(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) < C(b) ? C(a) : C(b);
}
template <class A, class B>
auto max(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) > C(b) ? C(a) : C(b);
}
inline double normcdf(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
inline float normcdff(float x) { return 0.5f * erfcf(-x * float(M_SQRT1_2)); }
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
using std::isnan;
