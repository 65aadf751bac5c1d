#include "cpu/surface/boundary.h"

#include <algorithm>
#include <vector>

#include "cpu/pool.h"
#include "cpu/surface/distance.h"
#include "cpu/surface/surface.h"

namespace warpdice::cpu {
namespace {

/// Writes 1 for each voxel of the mask that is near its outside, else 0.
void find_boundary(const Grid& grid, const uint8_t* mask, double width, uint8_t* near) {
  const std::vector<int64_t> first = count_by_plane(grid, mask);
  const auto all = uninitialized<double>(first.back());
  std::transform(mask, mask + grid.voxels(), near, [](uint8_t inside) -> uint8_t { return inside == 0; });
  distances(grid, near, mask, first.data(), all.get());
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), [&](int64_t z) {
    const double* distance = all.get() + first[static_cast<size_t>(z)];
    for (int64_t i = z * grid.plane(); i < (z + 1) * grid.plane(); i++) near[i] = mask[i] && *distance++ <= width;
  });
}

}  // namespace

Boundaries compare_boundaries(const Grid& grid, const uint8_t* a, const uint8_t* b, double width) {
  const auto near_a = uninitialized<uint8_t>(grid.voxels()), near_b = uninitialized<uint8_t>(grid.voxels());
  find_boundary(grid, a, width, near_a.get());
  find_boundary(grid, b, width, near_b.get());
  Boundaries found;
  for (int64_t i = 0; i < grid.voxels(); i++) {
    found.both += near_a[i] & near_b[i];
    found.either += near_a[i] | near_b[i];
  }
  return found;
}

}  // namespace warpdice::cpu
