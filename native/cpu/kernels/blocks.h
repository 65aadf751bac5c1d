#pragma once
// Gives the passes a run of voxels block by block: predictions, target and weights, either in the caller's arrays or
// staged (copied and converted).
#include "cpu/kernels/gradient_path.h"
#include "cpu/kernels/layout.h"
#include "cpu/kernels/steps.h"
#include "math/label.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// The most steps of a block. They share one array of staged labels and one of weights.
constexpr int kBlockSteps = 16;

/// Steps of a block that is staged class by class: as many as fit the L1 cache together with its target and gradient.
template <class T>
int staged_steps(int64_t classes) {
  constexpr int64_t kStagedBytes = 12 << 10;
  const int64_t fit = kStagedBytes / (classes * kStep<T> * static_cast<int64_t>(sizeof(T)));
  return fit < 1 ? 1 : fit > kBlockSteps ? kBlockSteps : static_cast<int>(fit);
}

/// Elements from class to class of such a block. One line is added, so that the classes fall into different cache sets.
template <class T>
int64_t staged_stride(int64_t classes) {
  const int steps = staged_steps<T>(classes);
  return steps * kStep<T> + (steps > 1 ? 64 / static_cast<int>(sizeof(T)) : 0);
}

/// How many voxels to do at once: whole steps, or the rest of a run, padded to a step.
struct Block {
  int64_t s;
  int voxels;
  bool partial;
};

constexpr bool kWidensQuickly = kVectorBytes >= 32;  // halves and bytes, by an instruction or two a vector

template <class T>
class Blocks {
 public:
  /// scratch: [C][kStep<T>], used within view() and store_staged() only. class_weights: for a block of them, or the
  /// array of those that are padded.
  Blocks(const Inputs& in, const Run& run, T* scratch, T* class_weights)
      : layout_{in.classes, in.voxels, in.interleaved(), scratch, staged_stride<T>(in.classes)},
        in_(in),
        run_(run),
        class_weights_(class_weights) {}

  const LayoutConverter<T>& layout() const { return layout_; }

  /// Whether the arrays beside the predictions are read in place. Labels are always staged, which is quick; so are
  /// class weights that are not padded, which is rare.
  bool direct_operands() const {
    return (!in_.class_weight.data || in_.padded) && (in_.labels || is_direct(in_, in_.target.dtype));
  }

  /// Whether an array of this dtype is read and written in place in this block.
  bool in_place(DType dtype, const Block& block) const {
    return is_direct(in_, dtype) && (!block.partial || in_.padded);
  }

  /// direct: nothing is staged class by class.
  Block next_block(int64_t s, int64_t end, bool direct) const {
    const int64_t left = end - s, whole = left / kStep<T>, max = direct ? kBlockSteps : staged_steps<T>(in_.classes);
    if (whole == 0) return {s, static_cast<int>(left), true};
    return {s, static_cast<int>((whole < max ? whole : max) * kStep<T>), false};
  }

  /// A block of an array like the predictions; it is copied to `staged` unless it can be read in place.
  View<T> view(const Operand& array, const Block& block, T* staged) const {
    if (in_place(array.dtype, block)) {
      return {static_cast<const T*>(array.data) + layout_.offset(run_.n, block.s), in_.voxels};
    }
    layout_.load(array, run_.n, block.s, block.voxels, staged);
    return {staged, layout_.stride};
  }

  /// Calls visit(view) with a block of predictions of halves.
  template <class Visit>
  WARPDICE_INLINE void with_halves(const Block& block, Visit visit) const {
    if constexpr (kWidensQuickly && sizeof(T) == sizeof(float)) {
      const int64_t at = layout_.offset(run_.n, block.s);
      const void* data = in_.predictions.data;
      if (in_.predictions.dtype == DType::float16) {
        visit(View<T, Float16>{static_cast<const Float16*>(data) + at, in_.voxels});
      } else {
        visit(View<T, BFloat16>{static_cast<const BFloat16*>(data) + at, in_.voxels});
      }
    }
  }

  /// Calls pass(steps) on a block of predictions. weigh: with weights, 0 in the padding of a partial step.
  template <class From, class Pass>
  WARPDICE_INLINE void with_steps(const View<T, From>& z, const Block& block, bool weigh, T* staged_target, Pass pass) {
    if (weigh) load_weights(block.s, block.voxels);
    if constexpr (kWidensQuickly) {
      if (widens_labels() && !block.partial && !weigh) {
        const uint8_t* labels = static_cast<const uint8_t*>(in_.target.data) + run_.n * in_.voxels + block.s;
        return pass(steps_of(z, block, LabelTarget<T, uint8_t>{labels, base()}, weigh));
      }
    }
    if (in_.labels) {
      load_labels(block.s, block.voxels, weigh);
      return pass(steps_of(z, block, LabelTarget<T>{labels_, base()}, weigh));
    }
    if constexpr (!kHalf<From>) {
      const View<T> t = view(in_.target, block, staged_target);
      if (in_.has_ignore) ignore_dense(t, block.voxels);
      pass(steps_of(z, block, DenseTarget<T>{t}, weigh));
    }
  }

  /// Writes a staged block to the caller's array.
  void store_staged(const GradientOut& out, const Block& block, const T* staged, bool streaming) const {
    const StoreMode mode = out.accumulate ? StoreMode::accumulate : streaming ? StoreMode::stream : StoreMode::replace;
    layout_.store(out, run_.n, block.s, block.voxels, staged, mode);
  }

  /// T of whole steps without weights: how many voxels each class has, added to counts [C]. After with_steps().
  void count_labels(const Block& block, int64_t* counts) const;

 private:
  /// Whether passes that take the classes one by one widen uint8 labels themselves. With few classes that is less work
  /// than staging them.
  bool widens_labels() const {
    return in_.labels && in_.target.dtype == DType::uint8 && in_.plain() && in_.activation != Activation::softmax &&
           in_.classes <= 4;
  }

  int32_t base() const { return static_cast<int32_t>(label_base(in_)); }

  template <class From, class Target>
  WARPDICE_INLINE Steps<T, Target, From> steps_of(const View<T, From>& z, const Block& block, const Target& target,
                                                  bool weigh) {
    const int64_t count = block.partial ? 1 : block.voxels / kStep<T>;
    const bool entropy = in_.cross_entropy || in_.uniform, of_classes = in_.class_weight.data;
    if (of_classes) load_class_weights(block);
    const T* weight = of_classes ? weights_of_classes(block) : weigh ? weights_ : nullptr;
    const int64_t weight_stride = of_classes ? class_weight_stride() : 0;
    seen_ = {};
    return {in_.classes, count, z, target, weight, weight_stride, in_.squared, entropy, in_.uniform, &seen_};
  }

  /// Stages labels as int32, with -1 for a label that is no class. weigh: also gives ignored voxels weight 0. Passes
  /// only compare labels with classes, so it is safe when other threads change the caller's memory meanwhile.
  void load_labels(int64_t s, int count, bool weigh);

  /// One weight per voxel, 0 in the padding.
  void load_weights(int64_t s, int count);

  /// One weight per class and voxel, 0 where that of the voxel is.
  void load_class_weights(const Block& block);

  T* weights_of_classes(const Block& block) const { return class_weights_ + (in_.padded ? block.s : 0); }
  int64_t class_weight_stride() const { return in_.padded ? in_.voxels : layout_.stride; }

  /// The ignore index of a one-class mask that is stored as floats.
  void ignore_dense(const View<T>& t, int count);

  const LayoutConverter<T> layout_;
  const Inputs& in_;
  const Run& run_;
  T* const class_weights_;
  alignas(64) int32_t labels_[kBlockSteps * kStep<T>];
  alignas(64) T weights_[kBlockSteps * kStep<T>];
  Extremes<T> seen_;  // in the block
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
