#include "cpu/direct/lovasz.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace warpdice::cpu::direct {
namespace {

struct Item {
  double error;
  int64_t voxel;  // below 0: -1 - voxel, which is of the class
};

bool comes_first(const Item& a, const Item& b) {
  if (a.error != b.error) return a.error > b.error;
  const auto voxel = [](const Item& item) { return item.voxel < 0 ? -1 - item.voxel : item.voxel; };
  return voxel(a) < voxel(b);
}

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

}  // namespace

ClassLoss lovasz(const Group& group, int64_t c, bool hinge, double* slopes) {
  const double* predictions = group.predictions(c);
  std::vector<Item> items;  // the voxels with an error
  ClassLoss result;
  double in_class = 0;
  for (int64_t i = 0; i < group.blocks(); i++) {
    const Block block = group.block(i);
    int8_t target[kBlockVoxels];
    group.read_target(block, c, target);
    for (int64_t k = 0; k < block.count; k++) {
      if (target[k] < 0) continue;
      const int64_t voxel = block.at + k;
      const double x = predictions[voxel];
      in_class += target[k];
      const double error = hinge ? (target[k] ? 1 - x : 1 + x) : (target[k] ? 1 - x : x);
      if (error > 0) items.push_back({error, target[k] ? -1 - voxel : voxel});
      if (error == error) continue;
      result.loss = kNaN;
      if (slopes) slopes[voxel] = kNaN;
    }
  }
  result.present = in_class > 0;
  std::sort(items.begin(), items.end(), comes_first);
  double overlap = in_class, together = in_class, before = 0;
  for (const Item& item : items) {
    const bool is_of_class = item.voxel < 0;
    (is_of_class ? overlap : together) += is_of_class ? -1 : 1;
    const double jaccard = 1 - overlap / together, slope = jaccard - before;
    before = jaccard;
    result.loss += item.error * slope;
    if (slopes) slopes[is_of_class ? -1 - item.voxel : item.voxel] = is_of_class ? -slope : slope;
  }
  return result;
}

}  // namespace warpdice::cpu::direct
