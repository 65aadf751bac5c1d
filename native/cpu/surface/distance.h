#pragma once
#include "cpu/surface/grid.h"

namespace warpdice::cpu {

/// The exact Euclidean distance from each voxel where `from` is not 0 to the nearest one where `to` is not 0, in the
/// order of the voxels; infinity when there is none. Linear in the volume: three passes, one along each axis
/// (Felzenszwalb and Huttenlocher, Theory of Computing 8, 2012). first[z]: how many voxels of `from` are before plane
/// z.
void distances(const Grid& grid, const uint8_t* to, const uint8_t* from, const int64_t* first, double* out);

}  // namespace warpdice::cpu
