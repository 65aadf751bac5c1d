#pragma once
#include "cpu/direct/group.h"

namespace warpdice::cpu::direct {

/// The value of a group, and the gradient times `factor`: the mean of the cross-entropies of the voxels that have the
/// largest ones, options.alpha percent of those that are not ignored, at least one. Equal cross-entropies are taken in
/// the voxels' order, and NaN comes first. per_class: null, or written: what each class adds to the value.
double top_k(const Call& call, Group& group, double factor, double* per_class);

}  // namespace warpdice::cpu::direct
