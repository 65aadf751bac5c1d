#include "cpu/direct/distance_map.h"

#include <algorithm>

#include "cpu/pool.h"
#include "cpu/surface/distance.h"
#include "cpu/surface/surface.h"

namespace warpdice::cpu::direct {
namespace {

void write_distances(const Grid& grid, const int8_t* mask, double* out) {
  const int64_t voxels = grid.voxels(), plane = grid.plane();
  const auto in_planes = [&](const auto& task) { Pool::instance().parallel_for(grid.sizes[0], grid.grain(), task); };
  const auto both = uninitialized<uint8_t>(2 * voxels);
  uint8_t* const sides[2] = {both.get(), both.get() + voxels};  // whether a voxel is outside, and inside
  in_planes([&](int64_t z) {
    for (int64_t i = z * plane; i < (z + 1) * plane; i++) {
      sides[0][i] = mask[i] == 0;
      sides[1][i] = mask[i] == 1;
      out[i] = 0;
    }
  });
  const std::vector<int64_t> first[2] = {count_by_plane(grid, sides[0]), count_by_plane(grid, sides[1])};
  if (first[0].back() == 0 || first[1].back() == 0) return;
  const auto found = uninitialized<double>(std::max(first[0].back(), first[1].back()));
  for (int8_t side = 0; side < 2; side++) {
    distances(grid, sides[1 - side], sides[side], first[side].data(), found.get());
    in_planes([&](int64_t z) {
      const double* next = found.get() + first[side][static_cast<size_t>(z)];
      for (int64_t i = z * plane; i < (z + 1) * plane; i++) {
        if (mask[i] == side) out[i] = *next++;
      }
    });
  }
}

}  // namespace

std::unique_ptr<double[]> distances_to_other_side(const Grid& image, int64_t images, const int8_t* mask) {
  auto out = uninitialized<double>(images * image.voxels());
  for (int64_t n = 0; n < images; n++)
    write_distances(image, mask + n * image.voxels(), out.get() + n * image.voxels());
  return out;
}

}  // namespace warpdice::cpu::direct
