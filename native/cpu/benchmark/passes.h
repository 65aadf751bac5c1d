#pragma once
// Passes over memory that compute nothing, or one exponential an element: what the benchmark compares a call with. They
// are compiled once per SIMD target, like the kernels, but into an addon of their own: the package does not have them.
#include <cstddef>
#include <cstdint>

namespace warpdice::cpu {

struct Passes {
  const char* name;  // of the SIMD target

  /// These two write around the caches.
  void (*stream_copy)(void* to, const void* from, size_t size_bytes);
  void (*stream_fill)(void* to, uint8_t byte, size_t size_bytes);

  /// to = exp(-|from|), as the kernels compute it. Both at multiples of 4 bytes. streaming: around the caches.
  void (*exponentials)(float* to, const float* from, size_t count, bool streaming);

  /// The sum of all 32-bit words modulo 2^32, the last padded with zeros: to be known, they must be read.
  uint32_t (*read_sum)(const void* from, size_t size_bytes);
};

}  // namespace warpdice::cpu
