#pragma once
#include "cpu/direct/group.h"

namespace warpdice::cpu::direct {

/// The boundary loss of class c: the mean of p * phi over the voxels that are not ignored (Kervadec et al., MIDL 2019).
/// phi is, as in the authors' program, the distance to the class outside of it, and 1 minus the distance to the outside
/// in it; 0 where the target has only one of the two. slopes: null, or written but for ignored voxels.
ClassLoss boundary(const Group& group, const Grid& image, int64_t c, double* slopes);

}  // namespace warpdice::cpu::direct
