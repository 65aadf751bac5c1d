// Steps 1 and 3 for one SIMD target: this file is compiled once per target, with WARPDICE_TARGET naming
// its namespace. Here dtypes and options become types, and runs become steps; softmax.h and pointwise.h have the
// arithmetic.
#include "kernels.h"

#include "check.h"
#include "count.h"
#include "pointwise.h"
#include "softmax.h"
#include "traffic.h"
#include "types.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// Steps that share one stretch of staged labels and weights.
constexpr int kBlockSteps = 16;

/// Up to here labels are counted class by class.
constexpr int64_t kFewClasses = 32;

/// One run of voxels, cut into blocks of whole steps and a padded last step.
template <class T>
class Runner {
 public:
  Runner(const Inputs& in, const Run& run, Workspace& workspace)
      : in_(in), run_(run), weighted_(in.weight.data || in.has_ignore) {
    const size_t step_bytes = static_cast<size_t>(in.classes) * kStep<T> * sizeof(T);
    totals_bytes_ = static_cast<size_t>(in.classes) * sizeof(Totals);
    char* memory = static_cast<char*>(
        workspace.reserve(3 * step_bytes + totals_bytes_ + in.classes * (sizeof(Slope<T>) + sizeof(int64_t))));
    staged_ = reinterpret_cast<T*>(memory);
    staged_target_ = reinterpret_cast<T*>(memory + step_bytes);
    dp_ = reinterpret_cast<Vec<T>*>(memory + 2 * step_bytes);
    totals_ = reinterpret_cast<Totals*>(memory + 3 * step_bytes);
    // In the order of their alignment.
    counts_ = reinterpret_cast<int64_t*>(memory + 3 * step_bytes + totals_bytes_);
    slopes_ = reinterpret_cast<Slope<T>*>(counts_ + in.classes);
    // dp is computed after the last load and read before the store: its place serves both as scratch.
    stager_ = {in.classes, in.voxels, in.interleaved(), reinterpret_cast<T*>(dp_)};
  }

  /// keep: null, or where step 3 will find what its activation needs (see steps.h).
  void statistics(Sums* sums, const GradientOut* keep) {
    memset(static_cast<void*>(totals_), 0, totals_bytes_);
    memset(counts_, 0, in_.classes * sizeof(int64_t));
    Vec<double> weight = {};
    double voxels = 0;  // of the blocks without weights
    for (int64_t s = run_.begin; s < run_.end;) {
      const Block block = next_block(s, run_.end, direct(in_.predictions.dtype) && direct_target());
      const View<T> z = view(in_.predictions, block, staged_);
      const Sink<T> sink = keep && !block.partial ? kept_at(*keep, block) : staged_sink();
      with_steps(z, block, block.partial || weighted_, [&](auto steps) {
        if (steps.weight) {
          for (int64_t j = 0; j < steps.count * kStep<T>; j += Simd<T>::lanes) {
            weight += widen_sum(load<Vec<T>>(weights_ + j));
          }
          return add<true>(steps, keep, sink);
        }
        voxels += block.voxels;
        add<false>(steps, keep, sink);
        if (in_.labels) count_labels(s, block.voxels);
      });
      if (keep && block.partial) {
        const Sink<T> to = kept_at(*keep, block);
        for (int64_t c = 0; c < in_.classes; c++) {
          memcpy(to.data + c * to.class_stride, staged_ + c * kStep<T>, block.voxels * sizeof(T));
        }
      }
      s += block.voxels;
    }
    for (int64_t c = 0; c < in_.classes; c++) {
      sums[c] = {};
      sums[c].intersection = sum_lanes(totals_[c].intersection);
      sums[c].prediction = sum_lanes(totals_[c].prediction);
      sums[c].target = sum_lanes(totals_[c].target) + static_cast<double>(counts_[c]);
      // Labels are 0 or 1 in every power.
      sums[c].volume = in_.squared && !in_.labels ? sum_lanes(totals_[c].volume) : sums[c].target;
      sums[c].weight = sum_lanes(weight) + voxels;
      sums[c].cross_entropy = in_.cross_entropy ? sum_lanes(totals_[c].cross_entropy) : 0;
      sums[c].uniform = sum_lanes(totals_[c].uniform);
    }
  }

  /// kept: out.data holds what statistics() kept.
  void gradient(const Coefficients* coefficients, const GradientOut& out, bool kept) {
    for (int64_t c = 0; c < in_.classes; c++) {
      const Coefficients& d = coefficients[c];
      const double constant = in_.squared ? 0 : d.prediction;
      const double slope = in_.squared ? 2 * d.prediction : 0, at_target = d.intersection + slope;
      slopes_[c] = {static_cast<T>(slope),
                    static_cast<T>(at_target),
                    static_cast<T>(constant),
                    static_cast<T>(at_target + constant),
                    static_cast<T>(d.cross_entropy),
                    static_cast<T>(d.uniform),
                    static_cast<T>(d.cross_entropy + d.uniform)};
    }
    const bool direct_from = kept || direct(in_.predictions.dtype), direct_out = direct(out.dtype) && !out.accumulate;
    const int64_t head = kept || !direct_out ? -1 : streaming_head(out);
    for (int64_t s = run_.begin; s < run_.end;) {
      // First up to where whole lines can be streamed.
      const int64_t end = head > 0 && s == run_.begin && head < run_.end - s ? s + head : run_.end;
      const Block block = next_block(s, end, direct_from && direct_target() && direct_out);
      const View<T> z = kept ? kept_view(out, block) : view(in_.predictions, block, staged_);
      const bool stage_out = !direct_out || block.partial;
      Sink<T> sink = staged_sink();
      if (!stage_out) sink = {static_cast<T*>(out.data) + stager_.offset(run_.n, s), in_.voxels, head >= 0};
      with_steps(z, block, weighted_, [&](auto steps) {
        if (steps.weight) differentiate<true>(steps, kept, sink);
        else differentiate<false>(steps, kept, sink);
      });
      if (stage_out) store_staged(out, block);
      s += block.voxels;
    }
    if (head >= 0) stream_fence();
  }

 private:
  /// Whether the passes can work on the caller's array of this dtype as it is.
  bool direct(DType dtype) const { return dtype == kDType<T> && !stager_.channels_last; }
  bool direct_target() const { return in_.labels || direct(in_.target.dtype); }

  /// Voxels to do at once: whole steps, or what is left of the run, padded to a step.
  struct Block {
    int64_t s;
    int voxels;
    bool partial;
  };

  /// What is staged class by class goes step by step, to stay in the cache.
  Block next_block(int64_t s, int64_t end, bool direct) const {
    const int64_t left = end - s, whole = left / kStep<T>, most = direct ? kBlockSteps : 1;
    if (whole == 0) return {s, static_cast<int>(left), true};
    return {s, static_cast<int>((whole < most ? whole : most) * kStep<T>), false};
  }

  Sink<T> staged_sink() const { return {staged_, kStep<T>, false}; }

  /// Where a block is kept: class by class, whatever the layout, since only step 3 reads it.
  Sink<T> kept_at(const GradientOut& out, const Block& block) const {
    T* data = static_cast<T*>(out.data) + stager_.offset(run_.n, block.s);
    return {data, stager_.channels_last ? block.voxels : in_.voxels, false};
  }

  View<T> kept_view(const GradientOut& out, const Block& block) const {
    const Sink<T> from = kept_at(out, block);
    if (!block.partial) return {from.data, from.class_stride};
    for (int64_t c = 0; c < in_.classes; c++) {
      load_row<T>(from.data + c * from.class_stride, block.voxels, staged_ + c * kStep<T>);
    }
    return {staged_, kStep<T>};
  }

  /// Voxels before the first that streaming stores may write; -1 when they may not be used: not asked for, the
  /// gradient replaces the predictions, or its rows begin at different places of a line.
  int64_t streaming_head(const GradientOut& out) const {
    constexpr int64_t kLineBytes = 64;
    const int64_t row_bytes = in_.voxels * static_cast<int64_t>(sizeof(T));
    if (out.data == in_.predictions.data || !out.streaming) return -1;
    if (in_.samples * in_.classes > 1 && row_bytes % kLineBytes != 0) return -1;
    const int64_t at = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out.data)) +
                       stager_.offset(run_.n, run_.begin) * static_cast<int64_t>(sizeof(T));
    if (at % static_cast<int64_t>(sizeof(T)) != 0) return -1;
    return (kLineBytes - at % kLineBytes) % kLineBytes / static_cast<int64_t>(sizeof(T));
  }

  /// Calls pass(steps) on a block of predictions. `weigh`: with weights, 0 in the padding of a partial step.
  template <class Pass>
  WARPDICE_INLINE void with_steps(const View<T>& z, const Block& block, bool weigh, Pass pass) {
    const int64_t count = block.partial ? 1 : block.voxels / kStep<T>;
    if (weigh) load_weights(block.s, block.voxels);
    const T* weight = weigh ? weights_ : nullptr;
    if (in_.labels) {
      with_label(in_.target.dtype, [&](auto* label) { load_labels(label, block.s, block.voxels, weigh); });
      pass(Steps<T, LabelTarget<T>>{
          in_.classes, count, z, {labels_, static_cast<int32_t>(in_.label_base())}, weight, in_.uniform});
    } else {
      const View<T> t = view(in_.target, block, staged_target_);
      if (in_.has_ignore) ignore_dense(t, block.voxels);
      pass(Steps<T, DenseTarget<T>>{in_.classes, count, z, {t}, weight, in_.uniform});
    }
  }

  /// A block of an array like the predictions; `staged` is used unless it can be read where it is.
  WARPDICE_INLINE View<T> view(const Operand& array, const Block& block, T* staged) const {
    if (direct(array.dtype) && !block.partial) {
      return {static_cast<const T*>(array.data) + stager_.offset(run_.n, block.s), in_.voxels};
    }
    with_storage(array.dtype, [&](auto* storage) {
      storage = static_cast<decltype(storage)>(const_cast<void*>(array.data));
      stager_.load(storage, run_.n, block.s, block.voxels, staged);
    });
    return {staged, kStep<T>};
  }

  /// The staged step to the caller's array.
  void store_staged(const GradientOut& out, const Block& block) const {
    with_storage(out.dtype, [&](auto* storage) {
      using Storage = typename Pointee<decltype(storage)>::type;
      if constexpr ((sizeof(T) == 8) == (sizeof(Storage) == 8) && sizeof(Storage) != 1) {
        stager_.store(static_cast<Storage*>(out.data), run_.n, block.s, block.voxels, staged_, out.accumulate);
      }
    });
  }

  /// Labels as int32, -1 for what is no label; where `weigh`, weight 0 for ignored voxels.
  /// Copied first, then checked: shared memory may change meanwhile, and labels become indices.
  template <class Label>
  WARPDICE_INLINE void load_labels(Label*, int64_t s, int count, bool weigh) {
    const int64_t end = in_.classes + in_.label_base();
    Label copy[kBlockSteps * kStep<T>];
    memcpy(copy, static_cast<const Label*>(in_.target.data) + run_.n * in_.voxels + s, count * sizeof(Label));
    if (weigh && in_.has_ignore) {
      for (int j = 0; j < count; j++) {
        if (static_cast<int64_t>(copy[j]) == in_.ignore_index) weights_[j] = 0;
      }
    }
    const bool invalid = any_from(copy, count, end);
    for (int j = 0; j < count; j++) labels_[j] = static_cast<int32_t>(copy[j]);
    for (int j = 0; j < count && invalid; j++) {
      if (copy[j] < 0 || static_cast<int64_t>(copy[j]) >= end) labels_[j] = -1;
    }
    const int whole = (count + kStep<T> - 1) / kStep<T> * kStep<T>;
    for (int j = count; j < whole; j++) labels_[j] = -1;
  }

  /// T of whole steps without weights: how many voxels each class has.
  void count_labels(int64_t s, int count) {
    if (in_.classes > kFewClasses) {
      for (int j = 0; j < count; j++) {
        if (labels_[j] >= 0) counts_[labels_[j]]++;
      }
    } else if (in_.target.dtype == DType::uint8) {
      count_each(static_cast<const uint8_t*>(in_.target.data) + run_.n * in_.voxels + s, count, in_.label_base());
    } else {
      count_each(labels_, count, in_.label_base());
    }
  }

  /// Compares with each class: for few classes faster than a table of counts, whose entries wait for each other.
  template <class Label>
  void count_each(const Label* labels, int count, int64_t base) {
    constexpr int kStepBytes = kStep<T> * sizeof(Label), kBytes = kStepBytes < kVectorBytes ? kStepBytes : kVectorBytes;
    constexpr int kLanes = kBytes / sizeof(Label);  // whole vectors in a step
    typedef Label Lanes __attribute__((vector_size(kBytes)));
    static_assert(kBlockSteps * kStep<T> / kLanes < 256, "a lane counts a whole block");
    for (int64_t c = 0; c < in_.classes; c++) {
      const Lanes wanted = Lanes{} + static_cast<Label>(c + base);
      Lanes found = {};
      for (int j = 0; j < count; j += kLanes) found -= (Lanes)(load<Lanes>(labels + j) == wanted);
      Label lanes[kLanes];
      store(lanes, found);
      int64_t total = 0;
      for (int i = 0; i < kLanes; i++) total += lanes[i];
      counts_[c] += total;
    }
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

  template <bool kWeighted, class Target>
  void add(const Steps<T, Target>& steps, bool keep, const Sink<T>& sink) {
    with_flag(in_.squared, [&](auto squared) {
      with_flag(keep, [&](auto kept) {
        with_flag(entropy(), [&](auto made) {
          constexpr bool kSquared = decltype(squared)::value, kKeep = decltype(kept)::value;
          constexpr bool kEntropy = decltype(made)::value;
          switch (in_.activation) {
            case Activation::none:
              return pointwise_statistics<T, false, kSquared, kWeighted, false, false>(steps, totals_, sink);
            case Activation::sigmoid:
              return pointwise_statistics<T, true, kSquared, kWeighted, kKeep, kEntropy>(steps, totals_, sink);
            case Activation::softmax:
              return softmax_statistics<T, kSquared, kWeighted, kKeep, kEntropy>(steps, kEntropy ? dp_ : work(),
                                                                                 totals_, sink);
          }
        });
      });
    });
  }

  template <bool kWeighted, class Target>
  void differentiate(const Steps<T, Target>& steps, bool kept, const Sink<T>& sink) {
    with_flag(kept, [&](auto flag) {
      with_flag(entropy(), [&](auto made) {
        constexpr bool kKept = decltype(flag)::value, kEntropy = decltype(made)::value;
        switch (in_.activation) {
          case Activation::none:
            return pointwise_gradient<T, false, kWeighted, false, false>(steps, slopes_, sink);
          case Activation::sigmoid:
            return pointwise_gradient<T, true, kWeighted, kKept, kEntropy>(steps, slopes_, sink);
          case Activation::softmax:
            return softmax_gradient<T, kWeighted, kKept, kEntropy>(steps, slopes_, work(), dp_, sink);
        }
      });
    });
  }

  /// Whether E or U are asked for.
  bool entropy() const { return in_.cross_entropy || in_.uniform; }

  template <bool kValue>
  struct Flag {
    static constexpr bool value = kValue;
  };
  template <class Visit>
  static WARPDICE_INLINE void with_flag(bool flag, Visit visit) {
    if (flag) visit(Flag<true>{});
    else visit(Flag<false>{});
  }

  template <class Pointer>
  struct Pointee;
  template <class Value>
  struct Pointee<Value*> {
    using type = Value;
  };

  /// Numerators may replace the staged predictions: each is written after the last read of its place.
  Vec<T>* work() { return reinterpret_cast<Vec<T>*>(staged_); }

  const Inputs& in_;
  const Run& run_;
  bool weighted_;
  Stager<T> stager_;
  size_t totals_bytes_;
  T *staged_, *staged_target_;  // [C][kStep<T>]: predictions, then numerators, then gradient; target
  Vec<T>* dp_;                  // [C][kUnroll]: dp
  Totals* totals_;              // [C]
  Slope<T>* slopes_;            // [C]
  int64_t* counts_;             // [C]
  alignas(64) int32_t labels_[kBlockSteps * kStep<T>];
  alignas(64) T weights_[kBlockSteps * kStep<T>];
};

void statistics(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums, const GradientOut* keep) {
  if (in.predictions.dtype == DType::float64) Runner<double>(in, run, workspace).statistics(sums, keep);
  else Runner<float>(in, run, workspace).statistics(sums, keep);
}

void gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
              const GradientOut& out, bool kept) {
  if (in.predictions.dtype == DType::float64) Runner<double>(in, run, workspace).gradient(coefficients, out, kept);
  else Runner<float>(in, run, workspace).gradient(coefficients, out, kept);
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
#define WARPDICE_STRING(name) #name
#define WARPDICE_NAME(name) WARPDICE_STRING(name)
    WARPDICE_NAME(WARPDICE_TARGET),
    kVectorBytes,
    check_target,
    statistics,
    gradient,
    count,
    stream_copy,
    stream_fill,
    exponentials,
    read_sum};

}  // namespace warpdice::cpu::WARPDICE_TARGET
