#include "cpu/direct/lovasz.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace warpdice::cpu::direct {
namespace {

struct Item {
  uint64_t key;   // the bits of the error, which is above 0, inverted: smaller for a larger error
  int64_t voxel;  // below 0: -1 - voxel, which is of the class

  Item(double error, int64_t of_voxel) : voxel(of_voxel) {
    std::memcpy(&key, &error, sizeof key);
    key = ~key;
  }
  int64_t place() const { return voxel < 0 ? -1 - voxel : voxel; }
  double error() const {
    const uint64_t bits = ~key;
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
};

/// Sorts by key; equal ones stay in their order. A radix sort: `std::sort` takes several times as long for a million.
void sort(std::vector<Item>& items) {
  constexpr int kBits = 11, kPasses = 6;  // 66 bits
  constexpr uint64_t kDigits = 1 << kBits;
  constexpr size_t kFew = 4096;  // for which the counts would take longer
  if (items.size() < kFew) {
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return a.key != b.key ? a.key < b.key : a.place() < b.place(); });
    return;
  }
  const auto digit = [](const Item& item, int pass) { return item.key >> (pass * kBits) & (kDigits - 1); };
  std::vector<std::array<size_t, kDigits>> counts(kPasses);
  for (const Item& item : items) {
    for (int pass = 0; pass < kPasses; pass++) counts[static_cast<size_t>(pass)][digit(item, pass)]++;
  }
  std::vector<Item> sorted(items);
  for (int pass = 0; pass < kPasses; pass++) {
    size_t begin = 0;
    for (size_t& count : counts[static_cast<size_t>(pass)]) begin += std::exchange(count, begin);
    for (const Item& item : items) sorted[counts[static_cast<size_t>(pass)][digit(item, pass)]++] = item;
    items.swap(sorted);
  }
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
      if (error > 0) items.emplace_back(error, target[k] ? -1 - voxel : voxel);
      if (error == error) continue;
      result.loss = kNaN;
      if (slopes) slopes[voxel] = kNaN;
    }
  }
  result.present = in_class > 0;
  sort(items);
  double overlap = in_class, together = in_class, before = 0;
  for (const Item& item : items) {
    const bool is_of_class = item.voxel < 0;
    (is_of_class ? overlap : together) += is_of_class ? -1 : 1;
    const double jaccard = 1 - overlap / together, slope = jaccard - before;
    before = jaccard;
    result.loss += item.error() * slope;
    if (slopes) slopes[is_of_class ? -1 - item.voxel : item.voxel] = is_of_class ? -slope : slope;
  }
  return result;
}

}  // namespace warpdice::cpu::direct
