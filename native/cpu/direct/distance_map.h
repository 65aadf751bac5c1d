#pragma once
#include "cpu/surface/grid.h"

namespace warpdice::cpu::direct {

/// For each voxel of a mask (1 inside, 0 outside, -1 neither) of so many images the exact distance to the nearest voxel
/// on the other side: from inside to the outside, and from outside to the inside. Zeros where a side has no voxels, and
/// at -1. Linear in the volume.
std::unique_ptr<double[]> distances_to_other_side(const Grid& image, int64_t images, const int8_t* mask);

}  // namespace warpdice::cpu::direct
