#pragma once
// A run of voxels block by block: predictions, target and weights as the passes want them, where they lie or staged.
#include "cpu/kernels/check_labels.h"
#include "cpu/kernels/count_labels.h"
#include "cpu/kernels/steps.h"
#include "cpu/kernels/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Steps of a block at most: they share one stretch of staged labels and weights.
constexpr int kBlockSteps = 16;

/// Steps of a block that is staged class by class: as many as leave the L1 cache to it, its target and its gradient.
template <class T>
int staged_steps(int64_t classes) {
  constexpr int64_t kStagedBytes = 12 << 10;
  const int64_t fit = kStagedBytes / (classes * kStep<T> * static_cast<int64_t>(sizeof(T)));
  return fit < 1 ? 1 : fit > kBlockSteps ? kBlockSteps : static_cast<int>(fit);
}

/// Elements from class to class of such a block: with a line to spare, so that the classes share no set of the cache.
template <class T>
int64_t staged_stride(int64_t classes) {
  const int steps = staged_steps<T>(classes);
  return steps * kStep<T> + (steps > 1 ? 64 / static_cast<int>(sizeof(T)) : 0);
}

/// Voxels to do at once: whole steps, or what is left of a run, padded to a step.
struct Block {
  int64_t s;
  int voxels;
  bool partial;
};

constexpr bool kWidensQuickly = kVectorBytes >= 32;  // by an instruction or two a vector

template <class T>
class Blocks {
 public:
  /// scratch: [C][kStep<T>], used within view() and store_staged() only.
  Blocks(const Inputs& in, const Run& run, T* scratch)
      : stager_{in.classes, in.voxels, in.interleaved(), scratch, staged_stride<T>(in.classes)}, in_(in), run_(run) {}

  /// Whether there are weights, or voxels that have none.
  bool weighted() const { return in_.weight.data || in_.has_ignore; }

  /// Whether the passes can work on the caller's array of this dtype as it is.
  bool direct(DType dtype) const { return dtype == kDType<T> && !stager_.channels_last; }
  bool direct_target() const { return in_.labels || direct(in_.target.dtype); }

  /// Whether the passes are to widen predictions of halves themselves: with labels, and weights in partial blocks only.
  /// 10 to 15% less time than staging them where that takes few instructions.
  bool direct_halves() const {
    const bool halves = in_.predictions.dtype == DType::float16 || in_.predictions.dtype == DType::bfloat16;
    return kWidensQuickly && halves && in_.labels && !weighted() && !stager_.channels_last;
  }

  /// Whether passes over classes one by one are to widen bytes of labels themselves: with few classes that is less work
  /// than to stage them.
  bool direct_labels() const {
    return in_.labels && in_.target.dtype == DType::uint8 && in_.plain() && in_.activation != Activation::softmax &&
           in_.classes <= 4;
  }

  /// Calls visit(view) with a block of predictions of halves.
  template <class Visit>
  WARPDICE_INLINE void with_halves(const Block& block, Visit visit) const {
    if constexpr (kWidensQuickly && sizeof(T) == sizeof(float)) {
      const int64_t at = stager_.offset(run_.n, block.s);
      const void* data = in_.predictions.data;
      if (in_.predictions.dtype == DType::float16) {
        visit(View<T, Float16>{static_cast<const Float16*>(data) + at, in_.voxels});
      } else {
        visit(View<T, BFloat16>{static_cast<const BFloat16*>(data) + at, in_.voxels});
      }
    }
  }

  /// direct: nothing is staged class by class.
  Block next_block(int64_t s, int64_t end, bool direct) const {
    const int64_t left = end - s, whole = left / kStep<T>, most = direct ? kBlockSteps : staged_steps<T>(in_.classes);
    if (whole == 0) return {s, static_cast<int>(left), true};
    return {s, static_cast<int>((whole < most ? whole : most) * kStep<T>), false};
  }

  /// Calls pass(steps) on a block of predictions. `weigh`: with weights, 0 in the padding of a partial step.
  template <class From, class Pass>
  WARPDICE_INLINE void with_steps(const View<T, From>& z, const Block& block, bool weigh, T* staged_target, Pass pass) {
    const int64_t count = block.partial ? 1 : block.voxels / kStep<T>;
    if (weigh) load_weights(block.s, block.voxels);
    const T* weight = weigh ? weights_ : nullptr;
    if constexpr (kWidensQuickly) {
      if (direct_labels() && !block.partial && !weigh) {
        const uint8_t* labels = static_cast<const uint8_t*>(in_.target.data) + run_.n * in_.voxels + block.s;
        const LabelTarget<T, uint8_t> target{labels, static_cast<int32_t>(in_.label_base())};
        return pass(Steps<T, LabelTarget<T, uint8_t>, From>{{in_.classes, count, target, nullptr, in_.uniform}, z});
      }
    }
    if (in_.labels) {
      with_label(in_.target.dtype, [&](auto* label) { load_labels(label, block.s, block.voxels, weigh); });
      const LabelTarget<T> target{labels_, static_cast<int32_t>(in_.label_base())};
      pass(Steps<T, LabelTarget<T>, From>{{in_.classes, count, target, weight, in_.uniform}, z});
    } else if constexpr (!kHalf<From>) {
      const View<T> t = view(in_.target, block, staged_target);
      if (in_.has_ignore) ignore_dense(t, block.voxels);
      pass(Steps<T, DenseTarget<T>>{{in_.classes, count, {t}, weight, in_.uniform}, z});
    }
  }

  const Stager<T>& stager() const { return stager_; }

  /// A block of an array like the predictions; `staged` is used unless it can be read where it is.
  WARPDICE_INLINE View<T> view(const Operand& array, const Block& block, T* staged) const {
    if (direct(array.dtype) && !block.partial) {
      return {static_cast<const T*>(array.data) + stager_.offset(run_.n, block.s), in_.voxels};
    }
    with_storage(array.dtype, [&](auto* storage) {
      storage = static_cast<decltype(storage)>(const_cast<void*>(array.data));
      stager_.load(storage, run_.n, block.s, block.voxels, staged);
    });
    return {staged, stager_.stride};
  }

  /// A staged block to the caller's array.
  void store_staged(const GradientOut& out, const Block& block, const T* staged, bool streaming) const {
    const Write how = out.accumulate ? Write::accumulate : streaming ? Write::stream : Write::replace;
    with_storage(out.dtype, [&](auto* storage) {
      using Storage = typename Pointee<decltype(storage)>::type;
      if constexpr (!kSame<Storage, uint8_t>) {
        stager_.store(static_cast<Storage*>(out.data), run_.n, block.s, block.voxels, staged, how);
      }
    });
  }

  /// T of whole steps without weights: how many voxels each class has, added to counts [C].
  void count_labels(int64_t s, int count, int64_t* counts) const {
    if (in_.target.dtype == DType::uint8) {
      const uint8_t* labels = static_cast<const uint8_t*>(in_.target.data) + run_.n * in_.voxels + s;
      count_each(labels, count, in_.classes, in_.label_base(), counts);
    } else {
      count_each(labels_, count, in_.classes, in_.label_base(), counts);
    }
  }

 private:
  /// Labels as int32, -1 for what is none; where `weigh`, weight 0 for ignored voxels. Passes only compare them with
  /// classes, so that memory which others change meanwhile does no harm.
  template <class Label>
  WARPDICE_INLINE void load_labels(Label*, int64_t s, int count, bool weigh) {
    const Label* from = static_cast<const Label*>(in_.target.data) + run_.n * in_.voxels + s;
    constexpr bool kWide = sizeof(Label) > sizeof(int32_t);  // else what is no class stays none
    const int64_t end = kWide ? in_.classes + in_.label_base() : 0;
    for (int j = 0; j < count; j++) {
      const bool valid = !kWide || (from[j] >= 0 && static_cast<int64_t>(from[j]) < end);
      labels_[j] = valid ? static_cast<int32_t>(from[j]) : -1;
    }
    for (int j = 0; j < count && weigh && in_.has_ignore; j++) {
      if (static_cast<int64_t>(from[j]) == in_.ignore_index) weights_[j] = 0;
    }
    const int whole = (count + kStep<T> - 1) / kStep<T> * kStep<T>;
    for (int j = count; j < whole; j++) labels_[j] = -1;
  }

  /// One weight per voxel, 0 in the padding.
  void load_weights(int64_t s, int count) {
    const int64_t first = run_.n * in_.voxels + s;
    for (int at = 0; at < count; at += kStep<T>) {
      const int filled = count - at < kStep<T> ? count - at : kStep<T>;
      if (in_.weight.data) {
        with_storage(in_.weight.dtype, [&](auto* storage) {
          using Storage = typename Pointee<decltype(storage)>::type;
          load_row<T>(static_cast<const Storage*>(in_.weight.data) + first + at, filled, weights_ + at);
        });
      } else {
        for (int j = 0; j < kStep<T>; j++) weights_[at + j] = j < filled ? T(1) : T(0);
      }
    }
  }

  /// The ignore index of a one-class mask that is stored as floats.
  void ignore_dense(const View<T>& t, int count) {
    const T ignored = static_cast<T>(in_.ignore_index);
    for (int j = 0; j < count; j++) {
      if (t.data[j] == ignored) weights_[j] = 0;
    }
  }

  const Stager<T> stager_;
  const Inputs& in_;
  const Run& run_;
  alignas(64) int32_t labels_[kBlockSteps * kStep<T>];
  alignas(64) T weights_[kBlockSteps * kStep<T>];
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
