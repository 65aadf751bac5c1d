#pragma once
// The predictions and the target of the samples that are taken together: one sample, or the batch.
#include <vector>

#include "cpu/pool.h"
#include "cpu/surface/grid.h"
#include "math/call.h"

namespace warpdice::cpu::direct {

/// Voxels of a sample that a thread reads at a time.
struct Block {
  int64_t sample, begin, count;  // begin: in the sample
  int64_t at;                    // of its first voxel in the group
};
constexpr int64_t kBlockVoxels = 2048;

/// One class of a group, by the voxels: 1 of the class, 0 of another, -1 ignored.
struct ClassMask {
  std::unique_ptr<int8_t[]> voxels;
  int64_t inside = 0, counted = 0;  // how many are 1, and how many are not -1
};

/// The loss of a class of a group.
struct ClassLoss {
  double loss = 0;
  bool present = false;  // has target voxels
};

class Group {
 public:
  Group(const Call& call, int64_t first_sample, int64_t samples);

  int64_t samples() const { return samples_; }
  int64_t voxels() const { return samples_ * call_.in.voxels; }
  int64_t blocks() const { return samples_ * blocks_per_sample_; }
  Block block(int64_t i) const;

  /// Reads the predictions through the activation. Returns the values that cannot be probabilities, if they must be
  /// such.
  LabelFault read(bool probabilities);
  /// What was read of class c, by the voxels of the group.
  const double* predictions(int64_t c) const { return predictions_.get() + c * voxels(); }
  /// Reads class c of the predictions as they are.
  void read_logits(const Block& block, int64_t c, double* to) const;
  /// Writes class c of the gradient.
  void write(const Block& block, int64_t c, const double* slopes) const;
  /// Writes for each voxel of the block 1: of class c, 0: of another, -1: ignored.
  void read_target(const Block& block, int64_t c, int8_t* to) const;
  /// Writes the class of each voxel of the block, -1: ignored. The target must be labels.
  void read_classes(const Block& block, int32_t* to) const;
  ClassMask mask(int64_t c) const;

  /// Adds up what `task` gives for each block, in their order: the bits are the same with any number of threads.
  template <class Task>
  auto sum(const Task& task) const {
    std::vector<decltype(task(Block()))> parts(static_cast<size_t>(blocks()));
    Pool::instance().parallel_for(blocks(), 8, [&](int64_t i) { parts[static_cast<size_t>(i)] = task(block(i)); });
    for (size_t i = 1; i < parts.size(); i++) parts[0] += parts[i];
    return parts[0];
  }

  /// dL/dp of class c, by the voxels of the group; zeros at first.
  double* slopes(int64_t c) { return slopes_.get() + c * voxels(); }
  void clear_slopes();
  /// Writes the gradient: through the activation, class c times factors[c].
  void write_gradient(const double* factors) const;

 private:
  int64_t index(const Block& block, int64_t c) const;
  int64_t stride() const { return call_.in.channels_last ? call_.in.classes : 1; }
  void activate(const Block& block);

  const Call& call_;
  const int64_t first_, samples_, blocks_per_sample_;
  std::unique_ptr<double[]> predictions_, slopes_;  // [C][voxels]
};

}  // namespace warpdice::cpu::direct
