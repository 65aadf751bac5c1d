#pragma once
// Losses that are no function of a few sums: they read all voxels of a sample at once. A call has the steps of a value,
// and maybe that of the gradient; there are no statistics.
#include "cpu/surface/grid.h"
#include "math/call.h"

namespace warpdice::cpu::direct {

enum class Kind : uint8_t {
  none,          // a loss of sums
  lovasz,        // of probabilities
  lovasz_hinge,  // of logits
  top_k,         // the largest cross-entropies
  boundary,      // this one and those that follow know where a voxel lies
  hausdorff,
  cldice,
};

constexpr bool is_spatial(Kind kind) { return kind >= Kind::boundary; }

struct Setup {
  Kind kind = Kind::none;
  int64_t iterations = 0;      // of the skeletons of clDice
  double smooth_harmonic = 0;  // added to the denominator of its harmonic mean
  Grid image;                  // of one sample, for spatial kinds
};

/// Predictions are float32 or float64, the target labels or masks of integers. Transform::log replaces the value v by
/// log(1 + v). When there are invalid values it returns them, and the results are of no use.
LabelFault run(const Call& call, const Setup& setup);

}  // namespace warpdice::cpu::direct
