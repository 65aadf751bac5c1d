#pragma once
// Surfaces of masks, and the distances between two of them. A mask lies in a grid with a margin of zeros.
#include <vector>

#include "cpu/surface/grid.h"

namespace warpdice::cpu {

/// What belongs to a surface: the voxels of the mask with a face on its outside, each of size 1; or the places between
/// voxels where the surface of marching cubes passes, each of the size of the surface there.
class Surface {
 public:
  Surface(const Grid& mask_grid, const uint8_t* mask, bool elements);

  const Grid& grid() const { return grid_; }
  /// 0 where there is none.
  const uint8_t* codes() const { return codes_.get(); }
  /// How many places are before each plane; the last number is of all.
  const int64_t* first() const { return first_.data(); }
  int64_t count() const { return first_.back(); }

 private:
  void find_voxels(const Grid& grid, const uint8_t* mask, int64_t z);
  void find_elements(const Grid& grid, const uint8_t* mask, int64_t z);

  Grid grid_;
  std::unique_ptr<uint8_t[]> codes_;
  std::vector<int64_t> first_;
};

/// How far the places of one surface are from another surface.
struct Distances {
  double size = 0;  // of the surface
  double sum = 0;   // of the distances, each times the size of its place
  double largest = 0;
  double quantile = 0;
  double within = 0;  // the size of the places within the tolerance
};

struct DistanceOptions {
  bool elements = false;
  double fraction = 0.95;  // of the quantile
  double tolerance = 0;
};

/// Both surfaces have places.
Distances distances_between(const Surface& from, const Surface& to, const DistanceOptions& options);

/// For each plane how many voxels that are not 0 are before it; the last number is of all.
std::vector<int64_t> count_by_plane(const Grid& grid, const uint8_t* voxels);

}  // namespace warpdice::cpu
