#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warpdice::cpu {

/// Unions of classes that are scored in place of the single classes. They may overlap.
class Regions {
 public:
  Regions() = default;
  /// members: the classes of each region, from 0 to below `classes`, each once.
  Regions(int64_t classes, std::vector<std::vector<int32_t>> members)
      : members_(std::move(members)), regions_of_(static_cast<size_t>(classes) + 1) {
    for (size_t region = 0; region < members_.size(); region++) {
      for (const int32_t c : members_[region])
        regions_of_[static_cast<size_t>(c)].push_back(static_cast<int32_t>(region));
    }
  }

  bool empty() const { return members_.empty(); }
  int64_t count() const { return static_cast<int64_t>(members_.size()); }
  const std::vector<int32_t>& members(int64_t region) const { return members_[static_cast<size_t>(region)]; }
  /// Those that have a class, in ascending order. The class after the last one, which is no class, has none.
  const std::vector<int32_t>& regions_of(int64_t c) const { return regions_of_[static_cast<size_t>(c)]; }
  bool operator==(const Regions& other) const { return members_ == other.members_; }

 private:
  std::vector<std::vector<int32_t>> members_, regions_of_;
};

}  // namespace warpdice::cpu
