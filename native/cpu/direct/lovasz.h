#pragma once
#include "cpu/direct/group.h"

namespace warpdice::cpu::direct {

/// The Lovasz extension of the Jaccard loss of class c, at the errors of its voxels (Berman, Rannen Triki and Blaschko,
/// CVPR 2018). An error is |t - p| of a probability or, for the hinge, 1 - (2t - 1) * z of a logit where that is above
/// 0. Voxels with the same error are taken in their order. slopes: null, or written where they are not 0.
ClassLoss lovasz(const Group& group, int64_t c, bool hinge, double* slopes);

}  // namespace warpdice::cpu::direct
