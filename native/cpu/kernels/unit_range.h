#pragma once
// The values that must be probabilities: those of a dense target and, without an activation, the predictions.
//
// A pass finds with one instruction for each vector that all of them are from 0 to 1.01: read as unsigned integers,
// these floats are smaller than all others, because negative numbers have the highest bit, and larger numbers, infinity
// and NaN a larger exponent. So it keeps the largest bits. Values that are allowed may have large bits too: -0, NaN,
// and what rounding has put just below 0. Therefore step 1 looks at each value of a block with large bits.
#include "cpu/kernels/simd.h"
#include "math/label_fault.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// outside_unit(), lane by lane.
template <class T>
WARPDICE_INLINE Mask<T> outside_unit(Vec<T> x) {
  return (x < static_cast<T>(-kProbabilityTolerance)) | (x > static_cast<T>(1 + kProbabilityTolerance));
}

#if defined(__x86_64__) && !defined(__AVX2__)

/// What a pass has seen, lane by lane. SSE2 has no maximum of 32-bit integers: two instructions keep the largest value,
/// but for NaN, and whether a sign was set.
template <class T>
class Extremes {
 public:
  /// u: the vector's place in its step. Two maxima take turns, so that one does not wait for the other.
  WARPDICE_INLINE void note(int u, Vec<T> x) {
    largest_[u % 2] = max(x, largest_[u % 2]);
    signs_ |= bits_of<T>(x);
  }

  WARPDICE_INLINE void add(const Extremes& other) {
    for (int i = 0; i < 2; i++) largest_[i] = max(other.largest_[i], largest_[i]);
    signs_ |= other.signs_;
  }

  /// Whether a value may be outside_unit().
  WARPDICE_INLINE bool suspicious() const { return any(outside_unit<T>(max(largest_[0], largest_[1])) | (signs_ < 0)); }

 private:
  Vec<T> largest_[2] = {};
  Mask<T> signs_ = {};
};

#else

/// The largest bits that a pass has seen, lane by lane.
template <class T>
class Extremes {
 public:
  WARPDICE_INLINE void note(int /*u*/, Vec<T> x) { keep((Words)x); }
  WARPDICE_INLINE void add(const Extremes& other) { keep(other.largest_); }

  /// Whether a value may be outside_unit().
  WARPDICE_INLINE bool suspicious() const {
    Words compared = {};
    for (size_t i = kOfEach - 1; i < kWords; i += kOfEach) compared[i] = UINT32_MAX;
    return any((largest_ & compared) >= kLimit);
  }

 private:
  typedef uint32_t Words __attribute__((vector_size(kVectorBytes)));
  static constexpr size_t kWords = kVectorBytes / sizeof(uint32_t), kOfEach = sizeof(T) / sizeof(uint32_t);
  /// The bits of 1.01; of a double the upper half, as only AVX-512 has a maximum of 64-bit integers.
  static constexpr uint32_t kLimit = kOfEach == 1 ? 0x3f8147ae : 0x3ff028f5;

  WARPDICE_INLINE void keep(Words x) { largest_ = x > largest_ ? x : largest_; }

  Words largest_ = {};
};

#endif

}  // namespace warpdice::cpu::WARPDICE_TARGET
