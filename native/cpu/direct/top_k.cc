#include "cpu/direct/top_k.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>

namespace warpdice::cpu::direct {
namespace {

constexpr double kIgnored = -1;

/// Cross-entropies from 0 on, infinity and NaN have the order of their bits.
uint64_t key_of(double loss) {
  uint64_t bits;
  memcpy(&bits, &loss, sizeof bits);
  return bits;
}

/// The voxels of a block: logits, which become probabilities, and the factor of -log p of each class,
/// [C][kBlockVoxels].
class Terms {
 public:
  explicit Terms(const Call& call)
      : call_(call),
        logits_(static_cast<size_t>(call.in.classes * kBlockVoxels)),
        factors_(static_cast<size_t>(call.in.classes * kBlockVoxels)),
        largest_(kBlockVoxels),
        sum_(kBlockVoxels),
        log_sum_(kBlockVoxels) {}

  double* logits(int64_t c) { return logits_.data() + c * kBlockVoxels; }
  double factor(int64_t c, int64_t k) const { return factors_[static_cast<size_t>(c * kBlockVoxels + k)]; }
  bool is_ignored(int64_t k) const { return ignored_[k]; }

  void read(const Group& group, const Block& block) {
    const LossOptions& options = call_.options;
    const int64_t C = call_.in.classes;
    const double s = options.label_smoothing, uniform = s / static_cast<double>(C);
    int8_t target[kBlockVoxels];
    for (int64_t c = 0; c < C; c++) {
      group.read_logits(block, c, logits(c));
      group.read_target(block, c, target);
      double* factors = factors_.data() + c * kBlockVoxels;
      for (int64_t k = 0; k < block.count; k++) {
        ignored_[k] = target[k] < 0;
        factors[k] = options.class_weight(c) * ((1 - s) * target[k] + uniform);
      }
    }
    std::copy(logits(0), logits(0) + block.count, largest_.begin());
    std::fill(sum_.begin(), sum_.end(), 0.0);
    double *largest = largest_.data(), *sum = sum_.data(), *log_sum = log_sum_.data();
    for (int64_t c = 1; c < C; c++) {
      for (int64_t k = 0; k < block.count; k++) largest[k] = std::max(largest[k], logits(c)[k]);
    }
    for (int64_t c = 0; c < C; c++) {
      for (int64_t k = 0; k < block.count; k++) sum[k] += std::exp(logits(c)[k] - largest[k]);
    }
    for (int64_t k = 0; k < block.count; k++) log_sum[k] = std::log(sum[k]);
  }

  /// What class c adds to the cross-entropy of a voxel.
  double loss(int64_t c, int64_t k) {
    const auto at = static_cast<size_t>(k);
    return weighted(factor(c, k), largest_[at] - logits(c)[k] + log_sum_[at]);
  }
  double probability(int64_t c, int64_t k) {
    const auto at = static_cast<size_t>(k);
    return std::exp(logits(c)[k] - largest_[at]) / sum_[at];
  }

 private:
  const Call& call_;
  std::vector<double> logits_, factors_;
  std::vector<double> largest_, sum_, log_sum_;  // on the heap: a thread's stack may be small
  bool ignored_[kBlockVoxels];
};

/// Which voxels are taken: those of a larger key and, of this key, those up to voxel `last`.
struct Cut {
  uint64_t key = std::numeric_limits<uint64_t>::max();
  int64_t last = -1, count = 0;

  bool takes(double loss, int64_t voxel) const {
    if (loss < 0) return false;  // ignored
    return key_of(loss) > key || (key_of(loss) == key && voxel <= last);
  }
};

/// Histograms of keys, by their leading bits: in chunks, so that threads can share the work.
class Histogram {
 public:
  Histogram(const double* losses, int64_t voxels) : parts_(kChunks * kBins) {
    const int64_t each = (voxels + kChunks - 1) / kChunks;
    Pool::instance().parallel_for(kChunks, 1, [&](int64_t i) {
      int64_t* part = parts_.data() + i * kBins;
      for (int64_t v = i * each; v < std::min((i + 1) * each, voxels); v++) {
        if (!(losses[v] < 0)) part[static_cast<int64_t>(bin_of(losses[v]))]++;
      }
    });
    for (size_t i = kBins; i < parts_.size(); i++) parts_[i % kBins] += parts_[i];
  }

  static size_t bin_of(double loss) { return key_of(loss) >> kShift; }
  int64_t at(size_t bin) const { return parts_[bin]; }
  int64_t total() const { return std::accumulate(parts_.begin(), parts_.begin() + kBins, int64_t{0}); }

  static constexpr size_t kBins = 1 << 15;  // the sign is 0

 private:
  static constexpr int kShift = 48, kChunks = 16;

  std::vector<int64_t> parts_;
};

Cut cut_of(const double* losses, int64_t voxels, double percent) {
  Cut cut;
  const Histogram histogram(losses, voxels);
  const int64_t counted = histogram.total();
  if (counted == 0) return cut;
  cut.count = std::max<int64_t>(static_cast<int64_t>(static_cast<double>(counted) * percent / 100), 1);
  size_t bin = Histogram::kBins - 1;
  int64_t left = cut.count;  // to be taken from this bin on
  while (histogram.at(bin) < left) left -= histogram.at(bin--);
  std::vector<uint64_t> keys;
  keys.reserve(static_cast<size_t>(histogram.at(bin)));
  for (int64_t v = 0; v < voxels; v++) {
    if (!(losses[v] < 0) && Histogram::bin_of(losses[v]) == bin) keys.push_back(key_of(losses[v]));
  }
  std::nth_element(keys.begin(), keys.begin() + (left - 1), keys.end(), std::greater<>());
  cut.key = keys[static_cast<size_t>(left - 1)];
  for (const uint64_t key : keys) left -= key > cut.key;
  for (int64_t v = 0; left > 0; v++) {
    if (key_of(losses[v]) != cut.key) continue;
    cut.last = v;
    left--;
  }
  return cut;
}

}  // namespace

double top_k(const Call& call, Group& group, double factor, double* per_class) {
  const int64_t C = call.in.classes;
  const auto losses = uninitialized<double>(group.voxels());
  Pool::instance().parallel_for(group.blocks(), 1, [&](int64_t i) {
    const Block block = group.block(i);
    Terms terms(call);
    terms.read(group, block);
    for (int64_t k = 0; k < block.count; k++) {
      double loss = 0;
      for (int64_t c = 0; c < C; c++) loss += terms.loss(c, k);
      const bool is_number = loss == loss;  // all NaN have one key
      losses[block.at + k] = terms.is_ignored(k) ? kIgnored
                             : is_number         ? (loss > 0 ? loss : 0.0)
                                                 : std::numeric_limits<double>::quiet_NaN();
    }
  });
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
      if (cut.takes(losses[block.at + k], block.at + k)) taken[count++] = k;
    }
    if (count == 0 && (!differentiates || call.grad.accumulate)) return;
    Terms terms(call);
    if (count > 0) terms.read(group, block);
    std::vector<double> slopes(kBlockVoxels), all(kBlockVoxels);  // all: the factors of all classes
    for (int64_t j = 0; j < count; j++) {
      for (int64_t c = 0; c < C; c++) all[static_cast<size_t>(taken[j])] += terms.factor(c, taken[j]);
    }
    for (int64_t c = 0; c < C; c++) {
      for (int64_t j = 0; j < count; j++) {
        const int64_t k = taken[j];
        if (per_class) parts[static_cast<size_t>(i * C + c)] += terms.loss(c, k);
        const auto at = static_cast<size_t>(k);
        slopes[at] = factor * share * (all[at] * terms.probability(c, k) - terms.factor(c, k));
      }
      if (differentiates) group.write(block, c, slopes.data());
    }
  });
  for (int64_t c = 0; c < C && per_class; c++) {
    per_class[c] = 0;
    for (int64_t i = 0; i < group.blocks(); i++) per_class[c] += share * parts[static_cast<size_t>(i * C + c)];
  }
  return value;
}

}  // namespace warpdice::cpu::direct
