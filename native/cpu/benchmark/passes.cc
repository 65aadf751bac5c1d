// The passes of one SIMD target.
#include "cpu/benchmark/passes.h"

#include <cstring>

#include "cpu/kernels/pointwise.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// Bytes before the first place that stream() may write, at most `size_bytes`.
size_t before_vector(const void* to, size_t size_bytes) {
  const size_t misaligned = reinterpret_cast<uintptr_t>(to) % kVectorBytes;
  const size_t head = misaligned ? kVectorBytes - misaligned : 0;
  return head < size_bytes ? head : size_bytes;
}

void stream_copy(void* to, const void* from, size_t size_bytes) {
  stream_bytes(to, from, size_bytes);
  stream_fence();
}

void stream_fill(void* to, uint8_t byte, size_t size_bytes) {
  char* t = static_cast<char*>(to);
  size_t at = before_vector(to, size_bytes);
  memset(t, byte, at);
  Vec<float> filled;
  memset(&filled, byte, sizeof filled);
  for (; at + kVectorBytes <= size_bytes; at += kVectorBytes) stream(t + at, filled);
  memset(t + at, byte, size_bytes - at);
  stream_fence();
}

/// kSideBySide vectors at a time.
void exponentials(float* to, const float* from, size_t count, bool streaming) {
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

/// Four vectors at a time, so that the additions do not wait for each other.
uint32_t read_sum(const void* from, size_t size_bytes) {
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

/// In place of Extremes.
struct Nothing {
  WARPDICE_INLINE void note(int /*u*/, Vec<float> /*x*/) {}
  WARPDICE_INLINE void add(const Nothing& /*other*/) {}
};

double plain_sums(const float* p, const uint8_t* labels, const float* t, int64_t C, int64_t S, bool checks) {
  constexpr int64_t kMaxClasses = 8, kBlock = 16 * kStep<float>;
  Totals totals[kMaxClasses] = {};
  Extremes<float> seen;
  Nothing nothing;
  const auto add = [&](const auto& steps) {
    if (checks) plain_statistics<float, true, false>(steps, totals, &seen);
    else plain_statistics<float, true, false>(steps, totals, &nothing);
  };
  for (int64_t s = 0; s < S && C <= kMaxClasses; s += kBlock) {
    const int64_t count = (S - s < kBlock ? S - s : kBlock) / kStep<float>;
    const View<float> z = {p + s, S};
    const auto steps_of = [&](auto target) {
      return Steps<float, decltype(target)>{C, count, z, target, nullptr, 0, true, false, false, &seen};
    };
    if (t) add(steps_of(DenseTarget<float>{{t + s, S}}));
    else add(steps_of(LabelTarget<float, uint8_t>{labels + s, C == 1 ? 1 : 0}));
  }
  return sum_lanes(totals[0].intersection) + (seen.suspicious() ? 1 : 0);
}

double multiply_adds(int64_t rounds, float* to) {
  constexpr int kChains = 12, kLanes = Simd<float>::lanes;
  Vec<float> x[kChains];
  for (int i = 0; i < kChains; i++) x[i] = splat(to[0] + static_cast<float>(i));
  const Vec<float> a = splat(to[1]), b = splat(to[2]);
  for (int64_t round = 0; round < rounds; round++) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; i++) x[i] = x[i] * a + b;
  }
  Vec<float> sum = {};
  for (int i = 0; i < kChains; i++) sum += x[i];
  store(to, sum);
  return static_cast<double>(rounds) * kChains * kLanes * 2;
}

}  // namespace

extern const Passes passes;
const Passes passes = {
#define WARPDICE_STRING(name) #name
#define WARPDICE_NAME(name) WARPDICE_STRING(name)
    WARPDICE_NAME(WARPDICE_TARGET), stream_copy, stream_fill, exponentials, read_sum, plain_sums, multiply_adds};

}  // namespace warpdice::cpu::WARPDICE_TARGET
