#pragma once
// A small emulator of the SIMT model: any C++ compiler compiles the kernel's source, and each thread is a fiber.
// native/cuda/kernels/device_api.h includes this file where there is no nvcc. README.md says what it can and cannot
// show.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>

#include "cuda/runtime/recorder.h"

// CUDA's own headers, which test/cuda/gpu includes first, define these.
#undef __global__
#undef __device__
#undef __host__
#undef __launch_bounds__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

namespace simt {

/// The order in which blocks, and the threads of a block, get their turns.
enum class Order { forward, backward, random };

struct Config {
  Order order = Order::forward;
  unsigned seed = 1;                          // for Order::random
  size_t shared_bytes_per_block = 64 * 1024;  // a launch that asks for more fails; sm_75 has no more
  unsigned last_blocks = 0;                   // not 0: of more than 1024 blocks only so many run, the last ones
};
Config& config();

/// Why the last launch that failed was stopped, in words.
const std::string& last_fault();

/// Gets the stream and the work of launches and memsets. Null: the work is done immediately.
using Executor = cudaError_t (*)(cudaStream_t, std::function<cudaError_t()>);
extern Executor executor;

enum class Operation : uint8_t { shuffle_xor, shuffle_down, shuffle_from, sync };

struct Thread;
uint3 thread_index();
uint3 block_index();
dim3 block_size();
dim3 grid_size();
void barrier(const char* file, int line);
/// Exchanges 8 bytes among the lanes that `mask` names.
uint64_t exchange(Operation operation, unsigned mask, uint64_t bits, int argument, const char* file, int line);
unsigned char* shared_bytes();
void fence();
void before_atomic(void* address);
void after_atomic(void* address);
cudaError_t submit(std::function<void()> thread_body, dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream);
/// The same as a node of a graph, which returns errors of the configuration when it runs.
cudaKernelNodeParams graph_node(std::function<void()> thread_body, dim3 grid, dim3 block, size_t shared_bytes);
cudaError_t zero(void* data, size_t size_bytes, cudaStream_t stream);

float half_to_float(uint16_t bits);
uint16_t float_to_half(float x);
float bfloat16_to_float(uint16_t bits);
uint16_t float_to_bfloat16(float x);

template <class T>
T shuffle(Operation operation, unsigned mask, T value, int argument, const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(operation, mask, bits, argument, file, line);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// An atomic operation. Returns the old value. By itself it orders no memory; a fence before or after it does.
template <class T, class Next>
T change(T* at, Next next) {
  before_atomic(at);
  T before = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(at, &before, next(before), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  after_atomic(at);
  return before;
}

}  // namespace simt

#define threadIdx (simt::thread_index())
#define blockIdx (simt::block_index())
#define blockDim (simt::block_size())
#define gridDim (simt::grid_size())

// The default arguments are those of the calling line, by which the emulator tells barriers apart.
inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::barrier(file, line);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  simt::exchange(simt::Operation::sync, mask, 0, 0, file, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return simt::shuffle(simt::Operation::shuffle_xor, mask, value, lanes, file, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int lanes, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  return simt::shuffle(simt::Operation::shuffle_down, mask, value, lanes, file, line);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int lane, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  return simt::shuffle(simt::Operation::shuffle_from, mask, value, lane, file, line);
}

inline void __threadfence() { simt::fence(); }
inline unsigned atomicAdd(unsigned* to, unsigned x) {
  return simt::change(to, [x](unsigned before) { return before + x; });
}
inline unsigned long long atomicAdd(unsigned long long* to, unsigned long long x) {
  return simt::change(to, [x](unsigned long long before) { return before + x; });
}
inline unsigned long long atomicMax(unsigned long long* to, unsigned long long x) {
  return simt::change(to, [x](unsigned long long before) { return x > before ? x : before; });
}

using std::exp;
using std::fabs;
using std::fmax;
using std::log;
using std::log1p;

namespace warpdice::cuda {

template <class... P, class... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                   const A&... args) {
  std::tuple<P...> copies(static_cast<P>(args)...);
  const auto body = [kernel, copies] { std::apply(kernel, copies); };
  if (recorder) return recorder->kernel(simt::graph_node(body, grid, block, shared_bytes));
  return simt::submit(body, grid, block, shared_bytes, stream);
}

inline cudaError_t zero(void* data, size_t size_bytes, cudaStream_t stream) {
  if (recorder) return recorder->zero(data, size_bytes);
  return simt::zero(data, size_bytes, stream);
}

// In CUDA these are approximations in float.
template <class A>
A fast_exp(A x) {
  return std::exp(x);
}
template <class A>
A fast_reciprocal(A x) {
  return 1 / x;
}
template <class A>
A fast_pow(A x, A y) {
  return std::pow(x, y);
}

template <class T>
T* read_again(T* data) {
  return data;
}

template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(simt::shared_bytes());
}

}  // namespace warpdice::cuda
