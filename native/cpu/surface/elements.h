#pragma once
#include "cpu/surface/grid.h"

namespace warpdice::cpu {

/// The size of the surface that marching cubes put between neighbouring voxels, for each way in which 2 x 2 x 2 of them
/// can be in a mask: bit 4z + 2y + x of the index is the voxel at (z, y, x). In flat grids, of 2 x 2 voxels, bit 2z +
/// x, and the size is a length. sizes: [256], or [16] of them.
void element_sizes(const Grid& grid, double* sizes);

}  // namespace warpdice::cpu
