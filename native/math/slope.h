#pragma once
// Computes the slope of a class's loss at one voxel from its coefficients (finalize.h), for both engines:
//
//   dL/dp = dI*t + dP*k*p^(k-1)      dL/dt = dI*p + dT*k*t^(k-1) + dV
//
// k is 2 for squared sums and else 1. The terms dI*t and dI*p are those of Overlap::product; other overlaps have their
// own terms. The voxel's weight is not included.
#include "math/types.h"

namespace warpdice {

/// dL/dp = slope*(p - t) + at_target*t + constant.
///
/// Near a match the two terms of dI*t + dP*k*p^(k-1) cancel. Here at_target = dI + slope has been added in double, and
/// p - t is exact.
template <class A>
struct PredictionSlope {
  A slope, at_target, constant;

  /// V: A, or a vector of A. difference: p - t.
  template <class V>
  WARPDICE_ALWAYS_INLINE V at(V t, V difference) const {
    return difference * slope + (t * at_target + constant);
  }
};

/// The terms of dL/dt without dI: slope*t + constant.
template <class A>
struct TargetSlope {
  A slope, constant;

  template <class V>
  WARPDICE_ALWAYS_INLINE V at(V t) const {
    return t * slope + constant;
  }
};

template <class A>
WARPDICE_ALWAYS_INLINE PredictionSlope<A> prediction_slope(const Inputs& in, const Coefficients& d) {
  const double slope = in.squared ? 2 * d.prediction : 0, constant = in.squared ? 0 : d.prediction;
  const double at_target = (in.overlap == Overlap::product ? d.intersection : 0) + slope;
  return {static_cast<A>(slope), static_cast<A>(at_target), static_cast<A>(constant)};
}

template <class A>
WARPDICE_ALWAYS_INLINE TargetSlope<A> target_slope(const Inputs& in, const Coefficients& d) {
  const double slope = in.squared ? 2 * d.target : 0, constant = (in.squared ? 0 : d.target) + d.volume;
  return {static_cast<A>(slope), static_cast<A>(constant)};
}

}  // namespace warpdice
