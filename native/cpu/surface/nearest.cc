// Which labelled voxel is nearest: the passes of distance.cc, which keep where the distance comes from.
#include <algorithm>
#include <vector>

#include "cpu/pool.h"
#include "cpu/surface/components.h"
#include "cpu/surface/envelope.h"

namespace warpdice::cpu {
namespace {

/// Pass 1: the plane of the nearest labelled voxel along axis 0, the lower of two; -1 for none.
void find_planes(const Grid& grid, const int32_t* labels, int32_t* planes) {
  const int64_t plane = grid.plane();
  constexpr int64_t kColumns = 4096;
  Pool::instance().parallel_for((plane + kColumns - 1) / kColumns, 1, [&](int64_t block) {
    const int64_t begin = block * kColumns, end = std::min(begin + kColumns, plane);
    const auto Z = static_cast<int32_t>(grid.sizes[0]);
    for (int32_t z = 0; z < Z; z++) {
      int32_t* row = planes + z * plane;
      for (int64_t i = begin; i < end; i++) row[i] = labels[z * plane + i] ? z : z > 0 ? row[i - plane] : -1;
    }
    for (int32_t z = Z - 2; z >= 0; z--) {
      int32_t* row = planes + z * plane;
      for (int64_t i = begin; i < end; i++) {
        const int32_t before = row[i], after = row[i + plane];
        if (after >= 0 && (before < 0 || after - z < z - before)) row[i] = after;
      }
    }
  });
}

/// Passes 2 and 3 for one plane.
class PlaneSearch {
 public:
  PlaneSearch(const Grid& grid, const int32_t* labels, const int32_t* planes)
      : grid_(grid),
        labels_(labels),
        planes_(planes),
        memory_(static_cast<size_t>(Envelope::numbers(grid.sizes[1]) + Envelope::numbers(grid.sizes[2]))),
        across_(memory_.data(), grid.sizes[1], grid.spacing[1]),
        along_(memory_.data() + Envelope::numbers(grid.sizes[1]), grid.sizes[2], grid.spacing[2]),
        squares_(static_cast<size_t>(grid.plane())),
        found_(static_cast<size_t>(grid.plane())) {}

  void search(int64_t z, const uint8_t* asked, int32_t* nearest) {
    for (int64_t x = 0; x < grid_.sizes[2]; x++) cross_plane(z, x);
    for (int64_t y = 0; y < grid_.sizes[1]; y++) {
      const int64_t at = y * grid_.sizes[2];
      cross_row(at, asked + at, nearest + at);
    }
  }

 private:
  void cross_plane(int64_t z, int64_t x) {
    const int64_t Y = grid_.sizes[1], X = grid_.sizes[2], plane = grid_.plane();
    across_.clear();
    for (int64_t y = 0; y < Y; y++) {
      const int32_t from = planes_[z * plane + y * X + x];
      if (from < 0) continue;
      const double apart = static_cast<double>(from - z) * grid_.spacing[0];
      across_.add(y, apart * apart);
    }
    int64_t i = 0;
    for (int64_t y = 0; y < Y; y++) {
      const auto at = static_cast<size_t>(y * X + x);
      found_[at] = 0;
      if (across_.empty()) continue;
      const int64_t row = across_.lowest(y, i) * X + x;
      squares_[at] = across_.value(y, i);
      found_[at] = labels_[planes_[z * plane + row] * plane + row];
    }
  }

  void cross_row(int64_t first, const uint8_t* asked, int32_t* nearest) {
    const int64_t X = grid_.sizes[2];
    along_.clear();
    for (int64_t x = 0; x < X; x++) {
      if (found_[static_cast<size_t>(first + x)]) along_.add(x, squares_[static_cast<size_t>(first + x)]);
    }
    int64_t i = 0;
    for (int64_t x = 0; x < X; x++) {
      if (asked[x]) nearest[x] = found_[static_cast<size_t>(first + along_.lowest(x, i))];
    }
  }

  const Grid& grid_;
  const int32_t *labels_, *planes_;
  std::vector<double> memory_;
  Envelope across_, along_;
  std::vector<double> squares_;
  std::vector<int32_t> found_;  // 0 where the column has no label
};

}  // namespace

void nearest_labels(const Grid& grid, const int32_t* labels, const uint8_t* asked, int32_t* nearest) {
  const int64_t plane = grid.plane();
  const auto planes = uninitialized<int32_t>(grid.voxels());
  find_planes(grid, labels, planes.get());
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), [&](int64_t z) {
    const uint8_t* wanted = asked + z * plane;
    if (std::none_of(wanted, wanted + plane, [](uint8_t voxel) { return voxel != 0; })) return;
    PlaneSearch(grid, labels, planes.get()).search(z, wanted, nearest + z * plane);
  });
}

}  // namespace warpdice::cpu
