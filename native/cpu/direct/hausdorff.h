#pragma once
#include "cpu/direct/group.h"

namespace warpdice::cpu::direct {

/// The Hausdorff distance loss of class c by distance transforms: the mean of (p - t)^2 * (d_p^alpha + d_t^alpha) over
/// the voxels that are not ignored (Karimi and Salcudean, IEEE TMI 39, 2020). d_t: the distance to the other side of
/// the target's boundary; d_p: the same for p > 1/2, taken as a constant. slopes: null, or written but for ignored
/// voxels.
ClassLoss hausdorff(const Group& group, const Grid& image, int64_t c, double alpha, double* slopes);

}  // namespace warpdice::cpu::direct
