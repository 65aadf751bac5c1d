#include "cpu/direct/top_k.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

#include "cpu/kernels/kernels.h"

namespace warpdice::cpu::direct {
namespace {

constexpr double kIgnored = -1;

/// Cross-entropies from 0 on, infinity and NaN have the order of their bits; kIgnored is below all of them.
int64_t key_of(double loss) {
  int64_t bits;
  memcpy(&bits, &loss, sizeof bits);
  return bits;
}

/// The terms of the cross-entropies of some voxels of a block: of each class, a factor times -log p.
class Terms {
 public:
  explicit Terms(const Call& call)
      : call_(call),
        is_own_alone_(call.in.labels && call.options.label_smoothing == 0),
        logits_(uninitialized<double>(call.in.classes * kBlockVoxels)),
        masks_(uninitialized<int8_t>(call.in.labels ? 0 : call.in.classes * kBlockVoxels)),
        classes_(uninitialized<int32_t>(kBlockVoxels)),
        sums_(uninitialized<double>(3 * kBlockVoxels)) {
    const double s = call.options.label_smoothing, elsewhere = s / static_cast<double>(call.in.classes);
    for (int64_t c = 0; c < call.in.classes; c++) {
      const double weight = call.options.class_weight(c);
      factors_.push_back({weight * elsewhere, weight * (1 - s + elsewhere)});
    }
  }

  void read(const Group& group, const Block& block) {
    count_ = block.count;
    for (int64_t c = 0; c < call_.in.classes; c++) {
      group.read_logits(block, c, logits(c));
      if (!call_.in.labels) group.read_target(block, c, mask(c));
    }
    if (call_.in.labels) group.read_classes(block, classes_.get());
  }

  /// Drops all voxels but some, in ascending order.
  void keep(const int64_t* voxels, int64_t count) {
    count_ = count;
    const auto pick = [&](auto* values) {
      for (int64_t j = 0; j < count; j++) values[j] = values[voxels[j]];
    };
    for (int64_t c = 0; c < call_.in.classes; c++) {
      pick(logits(c));
      if (!call_.in.labels) pick(mask(c));
    }
    if (call_.in.labels) pick(classes_.get());
  }

  /// Finds log p, or p in place of the logits.
  void solve(bool probabilities) {
    for (int64_t c = 0; c < call_.in.classes; c++) {  // a whole step of the kernel
      std::fill_n(logits(c) + count_, (LogSums::kStep - count_ % LogSums::kStep) % LogSums::kStep, 0.0);
    }
    kernels().log_sums({call_.in.classes, count_, logits(0), kBlockVoxels, largest(), sum(), log_sum(), probabilities});
  }

  bool is_ignored(int64_t k) const { return call_.in.labels && classes_[k] < 0; }

  /// to[k] += what class c adds to the cross-entropy of voxel k. After solve(false).
  void add(int64_t c, double* to) {
    for (int64_t k = 0; k < count_; k++) to[k] += term(c, k);
  }
  void add_all(double* to) {
    if (is_own_alone_) {
      for (int64_t k = 0; k < count_; k++) to[k] += is_ignored(k) ? 0 : term(classes_[k], k);
    } else {
      for (int64_t c = 0; c < call_.in.classes; c++) add(c, to);
    }
  }

  double factor(int64_t c, int64_t k) {
    const bool is_target = call_.in.labels ? classes_[k] == c : mask(c)[k] != 0;
    return factors_[static_cast<size_t>(c)][is_target];
  }
  /// After solve(true).
  double probability(int64_t c, int64_t k) { return logits(c)[k] / sum()[k]; }

 private:
  double term(int64_t c, int64_t k) { return weighted(factor(c, k), largest()[k] - logits(c)[k] + log_sum()[k]); }
  double* logits(int64_t c) { return logits_.get() + c * kBlockVoxels; }
  int8_t* mask(int64_t c) { return masks_.get() + c * kBlockVoxels; }
  double* largest() { return sums_.get(); }
  double* sum() { return sums_.get() + kBlockVoxels; }
  double* log_sum() { return sums_.get() + 2 * kBlockVoxels; }

  const Call& call_;
  const bool is_own_alone_;  // no class adds but that of the label
  int64_t count_ = 0;
  std::unique_ptr<double[]> logits_;            // [C][kBlockVoxels]
  std::unique_ptr<int8_t[]> masks_;             // likewise, of a target that is dense
  std::unique_ptr<int32_t[]> classes_;          // of labels
  std::unique_ptr<double[]> sums_;              // on the heap: a thread's stack may be small
  std::vector<std::array<double, 2>> factors_;  // of each class: where it is not the target, and where it is
};

/// Which voxels are taken: those of a larger key and, of this key, those up to voxel `last`.
struct Cut {
  int64_t key = std::numeric_limits<int64_t>::max(), last = -1, count = 0;

  /// Without a branch, which no processor could foresee.
  bool takes(double loss, int64_t voxel) const {
    return static_cast<bool>(int{key_of(loss) > key} | (int{key_of(loss) == key} & int{voxel <= last}));
  }
};

/// Histograms of keys, by their leading bits: in chunks, so that threads can share the work.
class Histogram {
 public:
  Histogram(const double* losses, int64_t voxels) : parts_(static_cast<size_t>(kChunks * kBins)) {
    const int64_t each = (voxels + kChunks - 1) / kChunks;
    Pool::instance().parallel_for(kChunks, 1, [&](int64_t i) {
      int64_t* part = parts_.data() + i * kBins;
      for (int64_t v = i * each; v < std::min((i + 1) * each, voxels); v++) {
        if (key_of(losses[v]) >= 0) part[bin_of(losses[v])]++;
      }
    });
    for (size_t i = kBins; i < parts_.size(); i++) parts_[i % static_cast<size_t>(kBins)] += parts_[i];
  }

  /// Below 0: ignored.
  static int64_t bin_of(double loss) { return key_of(loss) >> kShift; }
  int64_t at(int64_t bin) const { return parts_[static_cast<size_t>(bin)]; }
  int64_t total() const { return std::accumulate(parts_.begin(), parts_.begin() + kBins, int64_t{0}); }

  static constexpr int64_t kBins = 1 << 14;  // the sign is 0

 private:
  static constexpr int kShift = 49, kChunks = 8;

  std::vector<int64_t> parts_;
};

Cut cut_of(const double* losses, int64_t voxels, double percent) {
  Cut cut;
  const Histogram histogram(losses, voxels);
  const int64_t counted = histogram.total();
  if (counted == 0) return cut;
  cut.count = std::max<int64_t>(static_cast<int64_t>(static_cast<double>(counted) * percent / 100), 1);
  int64_t bin = Histogram::kBins - 1;
  int64_t left = cut.count;  // to be taken from this bin on
  while (histogram.at(bin) < left) left -= histogram.at(bin--);
  std::vector<int64_t> keys(static_cast<size_t>(histogram.at(bin)) + 1);  // the last: written, and no key
  size_t found = 0;
  for (int64_t v = 0; v < voxels; v++) {
    keys[found] = key_of(losses[v]);
    found += Histogram::bin_of(losses[v]) == bin;
  }
  keys.pop_back();
  std::nth_element(keys.begin(), keys.begin() + (left - 1), keys.end(), std::greater<>());
  cut.key = keys[static_cast<size_t>(left - 1)];
  for (const int64_t key : keys) left -= key > cut.key;
  for (int64_t v = 0; left > 0; v++) {
    if (key_of(losses[v]) != cut.key) continue;
    cut.last = v;
    left--;
  }
  return cut;
}

/// The cross-entropies of a group's voxels: not negative, kIgnored, or one NaN for all.
std::unique_ptr<double[]> losses_of(const Call& call, const Group& group) {
  auto losses = uninitialized<double>(group.voxels());
  Pool::instance().parallel_for(group.blocks(), 1, [&](int64_t i) {
    const Block block = group.block(i);
    double* own = losses.get() + block.at;
    std::fill(own, own + block.count, 0.0);
    Terms terms(call);
    terms.read(group, block);
    terms.solve(false);
    terms.add_all(own);
    for (int64_t k = 0; k < block.count; k++) {
      const bool is_number = own[k] == own[k];
      own[k] = terms.is_ignored(k) ? kIgnored
               : is_number         ? (own[k] > 0 ? own[k] : 0.0)
                                   : std::numeric_limits<double>::quiet_NaN();
    }
  });
  return losses;
}

}  // namespace

double top_k(const Call& call, Group& group, double factor, double* per_class) {
  const int64_t C = call.in.classes;
  const auto losses = losses_of(call, group);
  const Cut cut = cut_of(losses.get(), group.voxels(), call.options.alpha);
  const double share = cut.count > 0 ? 1 / static_cast<double>(cut.count) : 0;
  const double value = share * group.sum([&](const Block& block) {
    double sum = 0;
    for (int64_t v = block.at; v < block.at + block.count; v++) sum += cut.takes(losses[v], v) ? losses[v] : 0;
    return sum;
  });
  const bool differentiates = call.steps & kGradient;
  if (!differentiates && !per_class) return value;

  std::vector<double> parts(per_class ? static_cast<size_t>(group.blocks() * C) : 0);
  Pool::instance().parallel_for(group.blocks(), 1, [&](int64_t i) {
    const Block block = group.block(i);
    int64_t taken[kBlockVoxels], count = 0;
    for (int64_t k = 0; k < block.count; k++) {
      taken[count] = k;
      count += cut.takes(losses[block.at + k], block.at + k);
    }
    if (count == 0 && (!differentiates || call.grad.accumulate)) return;
    Terms terms(call);
    if (count > 0) {
      terms.read(group, block);
      terms.keep(taken, count);
    }
    std::vector<double> slopes(kBlockVoxels), all(kBlockVoxels);  // all: the factors of all classes
    if (per_class && count > 0) {
      terms.solve(false);
      for (int64_t c = 0; c < C; c++) {
        std::fill(all.begin(), all.begin() + count, 0.0);
        terms.add(c, all.data());
        parts[static_cast<size_t>(i * C + c)] = std::accumulate(all.begin(), all.begin() + count, 0.0);
      }
      std::fill(all.begin(), all.begin() + count, 0.0);
    }
    if (!differentiates) return;
    terms.solve(true);
    for (int64_t c = 0; c < C; c++) {
      for (int64_t j = 0; j < count; j++) all[static_cast<size_t>(j)] += terms.factor(c, j);
    }
    for (int64_t c = 0; c < C; c++) {
      for (int64_t j = 0; j < count; j++) {
        const double slope = all[static_cast<size_t>(j)] * terms.probability(c, j) - terms.factor(c, j);
        slopes[static_cast<size_t>(taken[j])] = factor * share * slope;
      }
      group.write(block, c, slopes.data());
    }
  });
  for (int64_t c = 0; c < C && per_class; c++) {
    per_class[c] = 0;
    for (int64_t i = 0; i < group.blocks(); i++) per_class[c] += share * parts[static_cast<size_t>(i * C + c)];
  }
  return value;
}

}  // namespace warpdice::cpu::direct
