#pragma once
// Losses that are no function of a few sums: they read all voxels of a sample at once. A call has the steps of a value,
// and maybe that of the gradient; there are no statistics.
#include "math/call.h"

namespace warpdice::cpu::direct {

enum class Kind : uint8_t {
  none,          // a loss of sums
  lovasz,        // of probabilities
  lovasz_hinge,  // of logits
};

/// Predictions are float32 or float64, the target labels or masks of integers. When there are invalid values it returns
/// them, and the results are of no use.
LabelFault run(const Call& call, Kind kind);

}  // namespace warpdice::cpu::direct
