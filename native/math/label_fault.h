#pragma once
#include <cstdint>

#include "math/sums.h"

namespace warpdice {

enum class FaultKind : int64_t {
  label,       // a label that names no class, or a value other than 0 and 1 of an integer mask or one-hot target
  target,      // a value of a dense float target that is not from 0 to 1
  prediction,  // a prediction without an activation that is not from 0 to 1
  ranks,       // no value: the ranks that add up their statistics make different calls
};

/// Values of an array that are invalid.
struct LabelFault {
  int64_t count = 0;
  int64_t first_index = 0;  // flat index into the array
  double first_value = 0;
  FaultKind kind = FaultKind::label;

  /// Adds the faults of another part of the same call. Those of the target are told before those of the predictions.
  WARPDICE_ALWAYS_INLINE void add(const LabelFault& other) {
    if (other.count == 0) return;
    if (count > 0 && kind != other.kind) {
      if (other.kind < kind) *this = other;
      return;
    }
    if (count == 0 || other.first_index < first_index) {
      first_index = other.first_index;
      first_value = other.first_value;
    }
    kind = other.kind;
    count += other.count;
  }
};

/// How far from [0, 1] rounding may put a probability or a soft target: the number after 1 is 1.0078 in bfloat16, and
/// float arrays often hold values rounded to half precision.
constexpr double kProbabilityTolerance = 0.01;

/// Whether x cannot be a probability. NaN is no fault: it gives NaN.
template <class A>
WARPDICE_ALWAYS_INLINE bool outside_unit(A x) {
  return x < static_cast<A>(-kProbabilityTolerance) || x > static_cast<A>(1 + kProbabilityTolerance);
}

}  // namespace warpdice
