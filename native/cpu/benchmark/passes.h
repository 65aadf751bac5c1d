#pragma once
// Passes over memory that compute nothing, or one exponential per element. The benchmark compares calls with them. They
// are compiled once per SIMD target, like the kernels, but into an addon of their own, which the package does not have.
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

  /// The sum of all 32-bit words modulo 2^32, the last one padded with zeros. The sum forces the pass to read them all.
  uint32_t (*read_sum)(const void* from, size_t size_bytes);
};

}  // namespace warpdice::cpu
