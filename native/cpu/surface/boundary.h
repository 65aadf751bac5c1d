#pragma once
#include "cpu/surface/grid.h"

namespace warpdice::cpu {

/// Voxels of masks that are near the outside of their mask, for Boundary IoU.
struct Boundaries {
  int64_t both = 0, either = 0;  // near it in both masks, in one at least
};

/// a, b: masks with a margin of zeros. width: the largest distance to the outside.
Boundaries compare_boundaries(const Grid& grid, const uint8_t* a, const uint8_t* b, double width);

}  // namespace warpdice::cpu
