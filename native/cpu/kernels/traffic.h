#pragma once
// Passes over memory that compute nothing, or an exponential each: the limits that the benchmarks compare with.
#include "cpu/kernels/elementary.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Bytes before the first place that stream() may write, at most `size_bytes`.
inline size_t before_vector(const void* to, size_t size_bytes) {
  const size_t misaligned = reinterpret_cast<uintptr_t>(to) % kVectorBytes;
  const size_t head = misaligned ? kVectorBytes - misaligned : 0;
  return head < size_bytes ? head : size_bytes;
}

inline void stream_copy(void* to, const void* from, size_t size_bytes) {
  stream_bytes(to, from, size_bytes);
  stream_fence();
}

inline void stream_fill(void* to, uint8_t byte, size_t size_bytes) {
  char* t = static_cast<char*>(to);
  size_t at = before_vector(to, size_bytes);
  memset(t, byte, at);
  Vec<float> filled;
  memset(&filled, byte, sizeof filled);
  for (; at + kVectorBytes <= size_bytes; at += kVectorBytes) stream(t + at, filled);
  memset(t + at, byte, size_bytes - at);
  stream_fence();
}

/// to = exp(-|from|), kSideBySide vectors at a time. Both at multiples of 4 bytes.
inline void exponentials(float* to, const float* from, size_t count, bool streaming) {
  constexpr size_t kLanes = Simd<float>::lanes, kAtOnce = kSideBySide * kLanes;
  const auto one = [&](size_t i) { to[i] = exp_nonpositive(-magnitude(splat<float>(from[i])))[0]; };
  size_t i = 0;
  for (const size_t head = before_vector(to, count * sizeof(float)) / sizeof(float); i < head; i++) one(i);
  for (; i + kAtOnce <= count; i += kAtOnce) {
    Vec<float> x[kSideBySide];
    for (size_t v = 0; v < kSideBySide; v++) x[v] = -magnitude(load<Vec<float>>(from + i + v * kLanes));
    exp_nonpositive(x);
    for (size_t v = 0; v < kSideBySide; v++) {
      if (streaming) stream(to + i + v * kLanes, x[v]);
      else store(to + i + v * kLanes, x[v]);
    }
  }
  for (; i < count; i++) one(i);
  stream_fence();
}

/// Every bit reversed, where it is: the least that reads memory and writes something else there.
inline void invert(void* at, size_t size_bytes) {
  typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
  char* a = static_cast<char*>(at);
  size_t i = 0;
  for (; i + kVectorBytes <= size_bytes; i += kVectorBytes) store(a + i, ~load<Bytes>(a + i));
  for (; i < size_bytes; i++) a[i] = static_cast<char>(~a[i]);
}

/// The sum of all 32-bit words modulo 2^32, the last padded with zeros: to be known, they must be read. Four vectors at
/// a time, so that the additions do not wait for each other.
inline uint32_t read_sum(const void* from, size_t size_bytes) {
  constexpr int kAtOnce = 4;
  typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
  const char* f = static_cast<const char*>(from);
  Words sums[kAtOnce] = {};
  size_t at = 0;
  for (; at + kAtOnce * kVectorBytes <= size_bytes; at += kAtOnce * kVectorBytes) {
    for (int i = 0; i < kAtOnce; i++) sums[i] += load<Words>(f + at + i * kVectorBytes);
  }
  uint32_t total = 0;
  const Words all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  for (size_t i = 0; i < kVectorBytes / sizeof(uint32_t); i++) total += all[i];
  for (; at < size_bytes; at++) total += static_cast<uint32_t>(static_cast<uint8_t>(f[at])) << at % 4 * 8;
  return total;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
