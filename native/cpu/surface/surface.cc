#include "cpu/surface/surface.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu/pool.h"
#include "cpu/surface/distance.h"
#include "cpu/surface/elements.h"
#include "cpu/surface/quantile.h"

namespace warpdice::cpu {

std::vector<int64_t> count_by_plane(const Grid& grid, const uint8_t* voxels) {
  std::vector<int64_t> first(static_cast<size_t>(grid.sizes[0]) + 1);
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), [&](int64_t z) {
    const uint8_t* plane = voxels + z * grid.plane();
    first[static_cast<size_t>(z) + 1] = grid.plane() - std::count(plane, plane + grid.plane(), uint8_t{0});
  });
  std::partial_sum(first.begin(), first.end(), first.begin());
  return first;
}

Surface::Surface(const Grid& mask_grid, const uint8_t* mask, bool elements) : grid_(mask_grid) {
  if (elements) {
    for (int axis = 0; axis < 3; axis++) grid_.sizes[axis] -= axis == 1 && grid_.flat ? 0 : 1;
  }
  codes_ = uninitialized<uint8_t>(grid_.voxels());
  Pool::instance().parallel_for(grid_.sizes[0], grid_.grain(), [&](int64_t z) {
    if (elements) find_elements(mask_grid, mask, z);
    else find_voxels(mask_grid, mask, z);
  });
  first_ = count_by_plane(grid_, codes_.get());
}

void Surface::find_voxels(const Grid& grid, const uint8_t* mask, int64_t z) {
  const int64_t Z = grid.sizes[0], Y = grid.sizes[1], X = grid.sizes[2], plane = grid.plane();
  uint8_t* codes = codes_.get() + z * plane;
  std::memset(codes, 0, static_cast<size_t>(plane));
  if (z == 0 || z == Z - 1) return;  // the margin
  const int64_t margin = grid.flat ? 0 : 1, across = grid.flat ? 0 : X;
  for (int64_t y = margin; y < Y - margin; y++) {
    const uint8_t* m = mask + z * plane + y * X;
    for (int64_t x = 1; x < X - 1; x++) {
      const int inner = m[x - 1] & m[x + 1] & m[x - across] & m[x + across] & m[x - plane] & m[x + plane];
      codes[y * X + x] = static_cast<uint8_t>(m[x] & ~inner);
    }
  }
}

void Surface::find_elements(const Grid& grid, const uint8_t* mask, int64_t z) {
  const int64_t X = grid.sizes[2], plane = grid.plane();
  uint8_t* code = codes_.get() + z * grid_.plane();
  for (int64_t y = 0; y < grid_.sizes[1]; y++) {
    const uint8_t* m = mask + z * plane + y * X;
    for (int64_t x = 0; x < grid_.sizes[2]; x++, m++, code++) {
      const int near = m[0] | m[1] << 1, far = m[plane] | m[plane + 1] << 1;
      if (grid.flat) {
        const int all = near | far << 2;
        *code = static_cast<uint8_t>(all == 15 ? 0 : all);
        continue;
      }
      const int beside = m[X] | m[X + 1] << 1, across = m[plane + X] | m[plane + X + 1] << 1;
      const int all = near | beside << 2 | far << 4 | across << 6;
      *code = static_cast<uint8_t>(all == 255 ? 0 : all);
    }
  }
}

namespace {

/// Adds up what is in one plane, and writes its places.
Distances add_plane(const uint8_t* codes, int64_t count, const double* distance, const double* sizes, double tolerance,
                    Place* places) {
  Distances plane;
  for (int64_t i = 0; i < count; i++) {
    if (!codes[i]) continue;
    const Place place = {*distance++, sizes ? sizes[codes[i]] : 1};
    plane.size += place.size;
    plane.sum += place.size * place.distance;
    plane.largest = std::max(plane.largest, place.distance);
    if (place.distance <= tolerance) plane.within += place.size;
    *places++ = place;
  }
  return plane;
}

}  // namespace

Distances distances_between(const Surface& from, const Surface& to, const DistanceOptions& options) {
  const Grid& grid = from.grid();
  const int64_t planes = grid.sizes[0];
  const auto distance = uninitialized<double>(from.count());
  distances(grid, to.codes(), from.codes(), from.first(), distance.get());
  double sizes[256];
  if (options.elements) element_sizes(grid, sizes);
  const auto places = uninitialized<Place>(from.count());
  std::vector<Distances> by_plane(static_cast<size_t>(planes));
  Pool::instance().parallel_for(planes, grid.grain(), [&](int64_t z) {
    const int64_t first = from.first()[z];
    by_plane[static_cast<size_t>(z)] =
        add_plane(from.codes() + z * grid.plane(), grid.plane(), distance.get() + first,
                  options.elements ? sizes : nullptr, options.tolerance, places.get() + first);
  });
  Distances all;
  for (const Distances& plane : by_plane) {
    all.size += plane.size;
    all.sum += plane.sum;
    all.within += plane.within;
    all.largest = std::max(all.largest, plane.largest);
  }
  all.quantile = options.elements ? quantile_by_size(places.get(), from.count(), options.fraction, all.size)
                                  : quantile(places.get(), from.count(), options.fraction);
  return all;
}

}  // namespace warpdice::cpu
