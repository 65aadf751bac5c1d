#include "cpu/surface/components.h"

#include <algorithm>
#include <vector>

namespace warpdice::cpu {
namespace {

/// Voxels [begin, end) of a row. parent: a run of the same component that is not after it; itself for the first one.
struct ComponentRun {
  int32_t begin, end;
  int64_t parent;
};

class Labelling {
 public:
  Labelling(const Grid& grid, const uint8_t* mask, bool corners) : grid_(grid), reach_(corners ? 1 : 0) {
    first_.reserve(static_cast<size_t>(rows() + 1));
    for (int64_t row = 0; row < rows(); row++) {
      first_.push_back(static_cast<int64_t>(runs_.size()));
      find_runs(mask + row * grid.sizes[2]);
    }
    first_.push_back(static_cast<int64_t>(runs_.size()));
    for (int64_t row = 0; row < rows(); row++) join_neighbours(row);
  }

  int32_t write(int32_t* labels) {
    std::fill(labels, labels + grid_.voxels(), 0);
    std::vector<int32_t> label(runs_.size());
    int32_t count = 0;
    for (int64_t row = 0; row < rows(); row++) {
      for (int64_t i = first(row); i < first(row + 1); i++) {
        const int64_t root = find(i);
        const int32_t one = root == i ? ++count : label[static_cast<size_t>(root)];
        label[static_cast<size_t>(i)] = one;
        int32_t* to = labels + row * grid_.sizes[2];
        std::fill(to + run(i).begin, to + run(i).end, one);
      }
    }
    return count;
  }

 private:
  int64_t rows() const { return grid_.sizes[0] * grid_.sizes[1]; }
  int64_t first(int64_t row) const { return first_[static_cast<size_t>(row)]; }
  ComponentRun& run(int64_t i) { return runs_[static_cast<size_t>(i)]; }

  void find_runs(const uint8_t* row) {
    const int64_t X = grid_.sizes[2];
    for (int64_t x = 0; x < X; x++) {
      if (!row[x]) continue;
      int64_t end = x + 1;
      while (end < X && row[end]) end++;
      runs_.push_back({static_cast<int32_t>(x), static_cast<int32_t>(end), static_cast<int64_t>(runs_.size())});
      x = end;  // which is outside
    }
  }

  /// Joins the runs of a row with those of the rows before it that it touches.
  void join_neighbours(int64_t row) {
    const int64_t Y = grid_.sizes[1], z = row / Y, y = row % Y;
    if (y > 0) join(row, row - 1);
    if (z == 0) return;
    for (int64_t other = std::max<int64_t>(y - reach_, 0); other <= std::min(y + reach_, Y - 1); other++) {
      join(row, row - Y - y + other);
    }
  }

  void join(int64_t row, int64_t other) {
    int64_t a = first(row), b = first(other);
    while (a < first(row + 1) && b < first(other + 1)) {
      if (run(a).begin < run(b).end + reach_ && run(b).begin < run(a).end + reach_) unite(a, b);
      if (run(a).end < run(b).end) a++;
      else b++;
    }
  }

  int64_t find(int64_t i) {
    while (run(i).parent != i) i = run(i).parent = run(run(i).parent).parent;
    return i;
  }

  /// The earlier run is the parent, so that the first run of a component is its root.
  void unite(int64_t a, int64_t b) {
    const int64_t x = find(a), y = find(b);
    run(std::max(x, y)).parent = std::min(x, y);
  }

  const Grid& grid_;
  const int64_t reach_;  // how far apart runs of neighbouring rows may be
  std::vector<ComponentRun> runs_;
  std::vector<int64_t> first_;  // of each row
};

}  // namespace

int32_t label_components(const Grid& grid, const uint8_t* mask, bool corners, int32_t* labels) {
  return Labelling(grid, mask, corners).write(labels);
}

namespace {

double dice(int64_t both, int64_t sizes) { return 2 * static_cast<double>(both) / static_cast<double>(sizes); }

/// How many voxels each component has; [0]: outside.
std::vector<int64_t> sizes_of(const Grid& grid, const int32_t* labels, int32_t count) {
  std::vector<int64_t> sizes(static_cast<size_t>(count) + 1);
  for (int64_t i = 0; i < grid.voxels(); i++) sizes[static_cast<size_t>(labels[i])]++;
  return sizes;
}

struct Match {
  int32_t target, predicted;
  bool operator==(const Match& other) const { return target == other.target && predicted == other.predicted; }
  bool operator<(const Match& other) const {
    return target != other.target ? target < other.target : predicted < other.predicted;
  }
};

}  // namespace

void compare_components(const Grid& grid, const uint8_t* predicted, const uint8_t* target, bool corners, double* row) {
  const auto p = uninitialized<int32_t>(grid.voxels()), t = uninitialized<int32_t>(grid.voxels());
  const int32_t P = label_components(grid, predicted, corners, p.get());
  const int32_t T = label_components(grid, target, corners, t.get());
  row[kTargetComponents] = T;
  row[kPredictedComponents] = P;
  if (T == 0 || P == 0) return;
  const std::vector<int64_t> predicted_sizes = sizes_of(grid, p.get(), P), sizes = sizes_of(grid, t.get(), T);

  // The voxels that both have, and those that are only predicted, which count for the nearest component.
  std::vector<int64_t> both(sizes.size()), only_predicted(sizes.size());
  std::vector<Match> matches;
  const auto asked = uninitialized<uint8_t>(grid.voxels());
  for (int64_t i = 0; i < grid.voxels(); i++) {
    asked[i] = predicted[i] && !target[i];
    if (!predicted[i] || !target[i]) continue;
    both[static_cast<size_t>(t[i])]++;
    const Match match = {t[i], p[i]};
    if (matches.empty() || !(matches.back() == match)) matches.push_back(match);
  }
  nearest_labels(grid, t.get(), asked.get(), p.get());
  for (int64_t i = 0; i < grid.voxels(); i++) {
    if (asked[i]) only_predicted[static_cast<size_t>(p[i])]++;
  }

  std::sort(matches.begin(), matches.end());
  matches.erase(std::unique(matches.begin(), matches.end()), matches.end());
  std::vector<int64_t> matched_sizes(sizes.size());
  std::vector<uint8_t> is_matched(predicted_sizes.size());
  for (const Match& match : matches) {
    matched_sizes[static_cast<size_t>(match.target)] += predicted_sizes[static_cast<size_t>(match.predicted)];
    is_matched[static_cast<size_t>(match.predicted)] = 1;
  }
  row[kMatchedPredicted] = static_cast<double>(std::count(is_matched.begin(), is_matched.end(), uint8_t{1}));
  for (size_t c = 1; c < sizes.size(); c++) {
    row[kMatchedTarget] += both[c] > 0;
    row[kSumOfRegionDice] += dice(both[c], sizes[c] + both[c] + only_predicted[c]);
    row[kSumOfMatchDice] += dice(both[c], sizes[c] + matched_sizes[c]);
  }
}

}  // namespace warpdice::cpu
