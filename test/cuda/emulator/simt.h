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
#include <utility>
#include <vector>

#include "bound_kernel.h"
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
  unsigned last_blocks = 0;       // not 0: of more than 1024 blocks only so many run, and as many first ones
  float approximation_error = 0;  // of e^x and 1/x in float, relative: up or down, as x has it
};
Config& config();

/// Why the last launch that failed was stopped, in words.
const std::string& last_fault();

/// Gets every launch, with its stream. Null: the work is done immediately.
using Executor = cudaError_t (*)(cudaStream_t, const BoundKernel&);
extern Executor executor;

/// Called when a kernel is used first on a device, when CUDA loads it and its driver may compile it. asked: by
/// cudaFuncGetAttributes, which returns the result; else by a launch. Null: nothing happens then.
using Loading = cudaError_t (*)(bool asked);
extern Loading loading;
/// Every kernel is to be loaded again.
void unload_kernels();

/// What CUDA's runtime knows of a kernel from nvcc. Both functions get the arguments of a launch.
struct Kernel {
  std::function<void()> (*bind)(const void* function, void** arguments);  // the body of a thread, with copies of them
  std::vector<const void*> (*words)(void** arguments);  // all of their words: among them, the pointers
  struct Size {
    size_t size, alignment;
  };
  std::vector<Size> sizes;  // of each
};
/// Those of a kernel's arguments.
std::vector<Kernel::Size> argument_sizes(const void* function);
void know(const void* function, const Kernel& kernel);

template <class... P, size_t... kIndex>
std::tuple<P...> copies(void** arguments, std::index_sequence<kIndex...>) {
  return {*static_cast<P*>(arguments[kIndex])...};
}

/// Nothing where the compiler cannot tell the words from what lies between them.
template <class P>
void add_words([[maybe_unused]] P value, [[maybe_unused]] std::vector<const void*>& words) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_clear_padding)
  __builtin_clear_padding(&value);
  for (size_t at = 0; at + sizeof(void*) <= sizeof value; at += sizeof(void*)) {
    std::memcpy(&words.emplace_back(), reinterpret_cast<const char*>(&value) + at, sizeof(void*));
  }
#endif
#endif
}

/// Checks a launch, or the node of a graph, as CUDA does.
BoundKernel bind(const cudaKernelNodeParams& launch);
/// Runs the blocks now.
cudaError_t run_grid(const std::function<void()>& body, dim3 grid, dim3 block, size_t shared_bytes);

enum class Operation : uint8_t { shuffle_xor, shuffle_down, shuffle_from, ballot, sync };

struct Thread;
void barrier(const char* file, int line);
/// Exchanges 8 bytes among the lanes that `mask` names.
uint64_t exchange(Operation operation, unsigned mask, uint64_t bits, int argument, const char* file, int line);
unsigned char* shared_bytes();
void fence();
void before_atomic(void* address);
void after_atomic(void* address);

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

// Of the thread that runs.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

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
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  const int of_warp = static_cast<int>(threadIdx.x % 32);
  const int from = (of_warp & ~(width - 1)) | (lane & (width - 1));
  return simt::shuffle(simt::Operation::shuffle_from, mask, value, from, file, line);
}

inline unsigned __ballot_sync(unsigned mask, bool vote, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return static_cast<unsigned>(simt::exchange(simt::Operation::ballot, mask, vote, 0, file, line));
}
inline int __clz(unsigned x) { return x == 0 ? 32 : __builtin_clz(x); }

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
using std::fma;
using std::fmax;
using std::log;
using std::log1p;

namespace warpdice::cuda {

constexpr bool kNeedsRegisters = false;

/// An atomic addition that acquires and releases.
inline unsigned take_ticket(unsigned* count) {
  __threadfence();
  const unsigned before = atomicAdd(count, 1u);
  __threadfence();
  return before;
}

/// Where CUDA aligns 16 bytes, so must the caller.
struct alignas(16) Streamed {
  uint32_t words[4];
};
inline void stream(void* to, const uint32_t (&words)[4]) {
  *static_cast<Streamed*>(to) = {{words[0], words[1], words[2], words[3]}};
}

/// The address by which CUDA's runtime knows a kernel.
template <class... P>
void* function_of(void (*kernel)(P...)) {
  const auto bind = [](const void* function, void** arguments) -> std::function<void()> {
    const auto body = reinterpret_cast<void (*)(P...)>(const_cast<void*>(function));
    return
        [body, values = simt::copies<P...>(arguments, std::index_sequence_for<P...>())] { std::apply(body, values); };
  };
  const auto words = [](void** arguments) {
    std::vector<const void*> found;
    size_t i = 0;
    (simt::add_words(*static_cast<P*>(arguments[i++]), found), ...);
    return found;
  };
  void* function = reinterpret_cast<void*>(kernel);
  simt::know(function, {bind, words, {{sizeof(P), alignof(P)}...}});
  return function;
}

// In CUDA these are approximations in float.
inline float off(float exact, float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return exact * (1 + (bits & 1 ? 1 : -1) * simt::config().approximation_error);
}
template <class T>
T anew(T x) {
  return x;
}
/// What nobody reads before it is written again; who does finds NaN.
template <class T>
void forget(T& x) {
  std::memset(&x, 0xff, sizeof x);
}
inline float fast_exp2(float x) { return off(std::exp2(x), x); }
inline double fast_exp2(double x) { return std::exp2(x); }
inline float fast_exp(float x) { return off(std::exp(x), x); }
inline float fast_reciprocal(float x) { return off(1 / x, x); }
inline double fast_exp(double x) { return std::exp(x); }
inline double fast_reciprocal(double x) { return 1 / x; }
template <class A>
A fast_pow(A x, A y) {
  return std::pow(x, y);
}

template <class T>
T* shared_memory() {
  return reinterpret_cast<T*>(simt::shared_bytes());
}

}  // namespace warpdice::cuda
