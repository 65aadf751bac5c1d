#pragma once
// What a kernel file needs from its compiler: qualifiers, shuffles, half-precision conversions; and launch() and
// zero(). nvcc takes them from CUDA. Any other compiler takes them from simt.h on the include path: in
// test/cuda/emulator, a thread is a fiber. Only this file asks which compiler reads it, so that the tests run the code
// that is shipped.
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "cuda/kernels/shapes.h"
#include "cuda/runtime/recorder.h"
#include "math/types.h"

#ifdef __CUDACC__

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace warpdice::cuda {

/// The address by which CUDA's runtime knows a kernel.
template <class... P>
void* function_of(void (*kernel)(P...)) {
  return reinterpret_cast<void*>(kernel);
}

/// The block's shared memory, as many bytes as the launch asked for. A kernel has one such array.
template <class T>
__device__ T* shared_memory() {
  static_assert(alignof(T) <= 16);
  extern __shared__ __align__(16) unsigned char bytes[];
  return reinterpret_cast<T*>(bytes);
}

/// Stores 16 bytes that caches need not keep.
__device__ inline void stream(void* to, const uint32_t (&words)[4]) {
  __stcs(static_cast<uint4*>(to), make_uint4(words[0], words[1], words[2], words[3]));
}

/// Whether the compiler needs more registers for the same kernel: ptxas 13.0 spills some of 128 for these GPUs.
#if defined(__CUDA_ARCH__) && (__CUDA_ARCH__ >= 1000 || __CUDA_ARCH__ < 800)
constexpr bool kNeedsRegisters = true;
#else
constexpr bool kNeedsRegisters = false;
#endif

/// x, which the compiler does not know to be that: it computes what follows from it where that is used, and keeps no
/// register for it around a loop.
__device__ inline int anew(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
__device__ inline float anew(float x) {
  asm volatile("" : "+f"(x));
  return x;
}
__device__ inline double anew(double x) {
  asm volatile("" : "+d"(x));
  return x;
}

/// Leaves any value in x, which nobody reads before it is written again: without this, a loop that only sometimes
/// writes x would keep and move what it was.
__device__ inline void forget(float& x) { asm volatile("" : "=f"(x)); }

/// Adds 1 to *count, and returns what it was. Who sees the sum, or a later one, also sees what the threads of this
/// block wrote before their last barrier; after their next barrier these see what others wrote before earlier sums.
__device__ inline unsigned take_ticket(unsigned* count) {
  unsigned before;
  asm volatile("atom.global.add.acq_rel.gpu.u32 %0, [%1], 1;"
               : "=r"(before)
               : "l"(__cvta_generic_to_global(count))
               : "memory");
  return before;
}

/// 2^x by the hardware. The relative error is below 2^-22. 2^0 is 1, 2^-inf is 0.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline double fast_exp2(double x) { return exp2(x); }

/// e^x. To the error of 2^x the product adds 2^-24*|x|.
__device__ inline float fast_exp(float x) { return fast_exp2(x * 1.44269504f); }
__device__ inline double fast_exp(double x) { return exp(x); }

/// 1/x within an ulp, for x of at least 1. 1/infinity is 0.
__device__ inline float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline double fast_reciprocal(double x) { return 1 / x; }

/// x^y for x from 0 to 1, by the hardware's logarithm and 2^x. The relative error is about 2^-22*(1 + y).
__device__ inline float fast_pow(float x, float y) { return __powf(x, y); }
__device__ inline double fast_pow(double x, double y) { return pow(x, y); }

}  // namespace warpdice::cuda

#else
#include "simt.h"  // defines the same names
#endif

namespace warpdice::cuda {

/// Enqueues a kernel, or records it. Returns errors of the configuration; errors of the run appear in later calls.
template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   const A&... args) {
  constexpr size_t kAlwaysAllowedBytes = 48 * 1024;
  void* function = function_of(kernel);
  if (shared_bytes > kAlwaysAllowedBytes) {
    // The limit belongs to the function and the device, and all threads share it. So it is always the same: with the
    // size of each launch, that of another thread could lower it before this one begins.
    const cudaError_t failed =
        cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(kMaxSharedBytes));
    if (failed != cudaSuccess) return failed;
  }
  std::tuple<P...> values(static_cast<P>(args)...);
  return std::apply(
      [&](P&... value) {
        void* arguments[] = {&value...};  // CUDA copies the arguments
        if (!recorder) return cudaLaunchKernel(function, grid, block, arguments, shared_bytes, stream);
        cudaKernelNodeParams node = {};
        node.func = function;
        node.gridDim = grid;
        node.blockDim = block;
        node.sharedMemBytes = static_cast<unsigned>(shared_bytes);
        node.kernelParams = arguments;
        return recorder->kernel(node);
      },
      values);
}

/// Fills device memory with zero bits. Enqueues or records that.
inline cudaError_t zero(void* data, size_t size_bytes, cudaStream_t stream) {
  if (recorder) return recorder->zero(data, size_bytes);
  return cudaMemsetAsync(data, 0, size_bytes, stream);
}

// Float16 and BFloat16 have the same bits as __half and __nv_bfloat16.
#ifdef __CUDACC__
__device__ inline float widen(Float16 x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ inline float widen(BFloat16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }
__device__ inline void narrow(float x, Float16& to) { to.bits = __half_as_ushort(__float2half_rn(x)); }
__device__ inline void narrow(float x, BFloat16& to) { to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
#else
inline float widen(Float16 x) { return simt::half_to_float(x.bits); }
inline float widen(BFloat16 x) { return simt::bfloat16_to_float(x.bits); }
inline void narrow(float x, Float16& to) { to.bits = simt::float_to_half(x); }
inline void narrow(float x, BFloat16& to) { to.bits = simt::float_to_bfloat16(x); }
#endif

}  // namespace warpdice::cuda
