#pragma once
// Passes over memory that compute nothing, or one exponential per element, and a pass of the kernels without a part of
// it. The benchmark compares calls with them. They are compiled once per SIMD target, like the kernels, but into an
// addon of their own, which the package does not have.
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

  /// Step 1 of a Dice loss without an activation on [C, S], up to the sums. C: at most 8. S: a multiple of 128. t:
  /// the dense target, or null for the labels. checks: whether it also looks for values outside [0, 1], as calls do.
  /// Returns the first class's I, so that nothing is left out.
  double (*plain_sums)(const float* p, const uint8_t* labels, const float* t, int64_t C, int64_t S, bool checks);

  /// x = x*a + b in float32, `rounds` times, of twelve vectors that do not wait for each other: as fast as the
  /// processor multiplies. Returns the operations, 2 for each number and round. to: written.
  double (*multiply_adds)(int64_t rounds, float* to);
};

}  // namespace warpdice::cpu
