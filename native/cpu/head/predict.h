#pragma once
#include "math/prediction.h"

namespace warpdice::cpu::head {

/// Predicts a tile of voxels at a time.
void predict(const Prediction& prediction);

}  // namespace warpdice::cpu::head
