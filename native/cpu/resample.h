#pragma once
#include "math/resample.h"

namespace warpdice::cpu {

/// from and to have no memory in common.
void resample_nearest(const Resampling& shape, const void* from, void* to);

}  // namespace warpdice::cpu
