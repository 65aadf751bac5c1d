// Steps 1 and 3 for one SIMD target: this file is compiled once per target, with WARPDICE_TARGET naming
// its namespace. Here dtypes and options become types, and runs become steps; passes.h has the arithmetic.
#include "kernels.h"

#include "passes.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// Steps that share one stretch of staged labels and weights.
constexpr int kBlockSteps = 16;

/// Calls visit(Storage*) with the type of a float dtype or uint8.
template <class Visit>
WARPDICE_INLINE void with_storage(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::float32:
      return visit(static_cast<float*>(nullptr));
    case DType::float64:
      return visit(static_cast<double*>(nullptr));
    case DType::float16:
      return visit(static_cast<Float16*>(nullptr));
    case DType::bfloat16:
      return visit(static_cast<BFloat16*>(nullptr));
    case DType::uint8:
      return visit(static_cast<uint8_t*>(nullptr));
    case DType::int32:
    case DType::int64:
      return;  // never an operand of step 1 or 3 but as labels
  }
}

/// Calls visit(Label*) with the type of a label dtype.
template <class Visit>
WARPDICE_INLINE void with_label(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::int32:
      return visit(static_cast<int32_t*>(nullptr));
    case DType::int64:
      return visit(static_cast<int64_t*>(nullptr));
    default:
      return visit(static_cast<uint8_t*>(nullptr));
  }
}

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::float32 : DType::float64;

void note_fault(LabelFault& fault, int64_t index, int64_t value) {
  if (fault.count++ == 0) fault.first_index = index, fault.first_value = value;
}

/// One run of voxels, cut into blocks of whole steps and a padded last step.
template <class T>
class Runner {
 public:
  Runner(const Inputs& in, const Run& run, Workspace& workspace) : in_(in), run_(run), stager_{in.classes, in.voxels} {
    // One class, or one voxel per class, lies in memory alike in both layouts.
    channels_last_ = in.channels_last && in.classes > 1 && in.voxels > 1;
    weighted_ = in.weight.data || in.has_ignore;
    const size_t step_bytes = static_cast<size_t>(in.classes) * kStep<T> * sizeof(T);
    totals_bytes_ = static_cast<size_t>(in.classes) * sizeof(Totals);
    char* memory = static_cast<char*>(workspace.reserve(2 * step_bytes + totals_bytes_ + in.classes * sizeof(Slope<T>)));
    staged_ = reinterpret_cast<T*>(memory);
    staged_target_ = reinterpret_cast<T*>(memory + step_bytes);
    totals_ = reinterpret_cast<Totals*>(memory + 2 * step_bytes);
    slopes_ = reinterpret_cast<Slope<T>*>(memory + 2 * step_bytes + totals_bytes_);
  }

  LabelFault statistics(Sums* sums) {
    memset(static_cast<void*>(totals_), 0, totals_bytes_);
    faults_ = {};
    check_target_ = true;
    int64_t s = run_.begin;
    while (s < run_.end) {
      const int64_t left = run_.end - s;
      const int64_t block = block_steps(left, direct_predictions() && direct_target());
      const int count = static_cast<int>(block ? block * kStep<T> : left);  // voxels; no whole step left: the rest
      const bool partial = block == 0;
      with_target(s, count, partial, partial || weighted_, [&](auto steps) {
        steps.count = partial ? 1 : block;
        if (steps.weight) add<true>(steps);
        else add<false>(steps);
      });
      s += count;
    }
    for (int64_t c = 0; c < in_.classes; c++) {
      sums[c] = {sum_lanes(totals_[c].intersection), sum_lanes(totals_[c].prediction), sum_lanes(totals_[c].target)};
    }
    return faults_;
  }

  void gradient(const Coefficients* coefficients, const GradientOut& out) {
    for (int64_t c = 0; c < in_.classes; c++) {
      const Coefficients& d = coefficients[c];
      slopes_[c] = {static_cast<T>(d.intersection), static_cast<T>(in_.squared ? 2 * d.prediction : 0),
                    static_cast<T>(in_.squared ? 0 : d.prediction)};
    }
    check_target_ = false;
    const bool direct_out = out.dtype == kDType<T> && !channels_last_ && !out.accumulate;
    const int64_t head = streaming_head(out, direct_out);
    int64_t s = run_.begin;
    while (s < run_.end) {
      int64_t left = run_.end - s;
      if (head > 0 && s == run_.begin && head < left) left = head;  // up to where whole lines can be streamed
      const int64_t block = block_steps(left, direct_predictions() && direct_target() && direct_out);
      const int count = static_cast<int>(block ? block * kStep<T> : left);
      const bool partial = block == 0;
      const bool direct = direct_out && !partial;
      with_target(s, count, partial, weighted_, [&](auto steps) {
        steps.count = partial ? 1 : block;
        Sink<T> sink{staged_, kStep<T>, false};
        if (direct) {
          T* to = static_cast<T*>(out.data) + stager_.offset(run_.n, s, false);
          sink = {to, in_.voxels, head >= 0};
        }
        if (steps.weight) differentiate<true>(steps, sink);
        else differentiate<false>(steps, sink);
      });
      if (!direct) {
        with_storage(out.dtype, [&](auto* storage) { store_gradient(storage, out, s, count); });
      }
      s += count;
    }
    if (head >= 0) stream_fence();
  }

 private:
  bool direct_predictions() const { return in_.predictions.dtype == kDType<T> && !channels_last_; }
  bool direct_target() const { return in_.labels || (in_.target.dtype == kDType<T> && !channels_last_); }

  /// Whole steps to do at once: what is staged class by class goes step by step.
  static int64_t block_steps(int64_t left, bool direct) {
    const int64_t whole = left / kStep<T>;
    const int64_t most = direct ? kBlockSteps : 1;
    return whole < most ? whole : most;
  }

  /// Voxels before the first that streaming stores may write; -1 when they may not be used: the gradient is
  /// small enough for the caches, replaces the logits, or its rows begin at different places of a line.
  int64_t streaming_head(const GradientOut& out, bool direct_out) const {
    constexpr int64_t kLineBytes = 64, kLeastBytes = int64_t{4} << 20;
    const int64_t row_bytes = in_.voxels * static_cast<int64_t>(sizeof(T));
    if (!direct_out || out.data == in_.predictions.data || in_.samples * in_.classes * row_bytes < kLeastBytes) return -1;
    if (in_.samples * in_.classes > 1 && row_bytes % kLineBytes != 0) return -1;
    const int64_t at = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out.data)) +
                       stager_.offset(run_.n, run_.begin, false) * static_cast<int64_t>(sizeof(T));
    if (at % static_cast<int64_t>(sizeof(T)) != 0) return -1;
    return (kLineBytes - at % kLineBytes) % kLineBytes / static_cast<int64_t>(sizeof(T));
  }

  /// Calls pass(steps) on `count` voxels from s: whole steps in place where they can be, else one staged step.
  /// `weigh`: with weights, which are 0 in the padding of a partial step.
  template <class Pass>
  WARPDICE_INLINE void with_target(int64_t s, int count, bool partial, bool weigh, Pass pass) {
    View<T> z;
    if (direct_predictions() && !partial) {
      z = {static_cast<const T*>(in_.predictions.data) + stager_.offset(run_.n, s, false), in_.voxels};
    } else {
      with_storage(in_.predictions.dtype, [&](auto* storage) { load_staged(storage, in_.predictions.data, s, count, staged_); });
      z = {staged_, kStep<T>};
    }
    if (weigh) load_weights(s, count);
    const T* weight = weigh ? weights_ : nullptr;
    if (in_.labels) {
      with_label(in_.target.dtype, [&](auto* label) { load_labels(label, s, count, weigh); });
      pass(Steps<T, LabelTarget<T>>{in_.classes, 0, z, {labels_}, weight, in_.squared});
      return;
    }
    View<T> t;
    if (direct_target() && !partial) {
      t = {static_cast<const T*>(in_.target.data) + stager_.offset(run_.n, s, false), in_.voxels};
    } else {
      with_storage(in_.target.dtype, [&](auto* storage) { load_staged(storage, in_.target.data, s, count, staged_target_); });
      t = {staged_target_, kStep<T>};
    }
    if (check_target_ && in_.target.dtype == DType::uint8) check_bits(s, count);
    if (in_.has_ignore) ignore_dense(t, count);
    pass(Steps<T, DenseTarget<T>>{in_.classes, 0, z, {t}, weight, in_.squared});
  }

  template <class Storage>
  void load_staged(Storage*, const void* array, int64_t s, int count, T* to) const {
    stager_.load(static_cast<const Storage*>(array), channels_last_, run_.n, s, count, to);
  }

  template <class Storage>
  void store_gradient(Storage*, const GradientOut& out, int64_t s, int count) const {
    if constexpr ((sizeof(T) == 8) == (sizeof(Storage) == 8) && sizeof(Storage) != 1) {
      stager_.store(static_cast<Storage*>(out.data), channels_last_, run_.n, s, count, staged_, out.accumulate);
    }
  }

  /// Class per voxel, -1 for none; where `weigh`, weight 0 for ignored voxels.
  template <class Label>
  WARPDICE_INLINE void load_labels(Label*, int64_t s, int count, bool weigh) {
    const int64_t first = run_.n * in_.voxels + s;
    const Label* from = static_cast<const Label*>(in_.target.data) + first;
    const int64_t base = in_.label_base(), end = in_.classes + base;
    if (weigh && in_.has_ignore) {
      for (int j = 0; j < count; j++) {
        if (static_cast<int64_t>(from[j]) == in_.ignore_index) weights_[j] = 0;
      }
    }
    int invalid = 0;
    for (int j = 0; j < count; j++) {
      const Label label = from[j];
      const bool valid = label >= 0 && static_cast<int64_t>(label) < end;
      labels_[j] = valid ? static_cast<int32_t>(label - static_cast<Label>(base)) : -1;
      invalid |= !valid;
    }
    const int padded = (count + kStep<T> - 1) / kStep<T> * kStep<T>;
    for (int j = count; j < padded; j++) labels_[j] = -1;
    if (invalid && check_target_) {
      for (int j = 0; j < count; j++) {
        const int64_t label = static_cast<int64_t>(from[j]);
        if (label >= 0 && label < end) continue;
        if (in_.has_ignore && label == in_.ignore_index) continue;
        note_fault(faults_, first + j, label);
      }
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

  /// An integer target with one value per class holds 0 and 1 only.
  void check_bits(int64_t s, int count) {
    const uint8_t* target = static_cast<const uint8_t*>(in_.target.data);
    const int64_t rows = channels_last_ ? 1 : in_.classes, row = channels_last_ ? count * in_.classes : count;
    for (int64_t r = 0; r < rows; r++) {
      const int64_t first = stager_.offset(run_.n, s, channels_last_) + r * in_.voxels;
      uint8_t any = 0;
      for (int64_t j = 0; j < row; j++) any |= target[first + j];
      for (int64_t j = 0; j < row && any > 1; j++) {
        if (target[first + j] > 1) note_bit_fault(first + j, target[first + j]);
      }
    }
  }

  /// Rows are visited class by class, so the first fault seen need not be the one with the lowest index.
  void note_bit_fault(int64_t index, int64_t value) {
    const bool first = faults_.count == 0 || index < faults_.first_index;
    faults_.count++;
    if (first) faults_.first_index = index, faults_.first_value = value;
  }

  template <bool kWeighted, class Target>
  void add(const Steps<T, Target>& steps) {
    switch (in_.activation) {
      case Activation::none:
        return pointwise_statistics<T, false, kWeighted>(steps, totals_);
      case Activation::sigmoid:
        return pointwise_statistics<T, true, kWeighted>(steps, totals_);
      case Activation::softmax:
        return with_classes<kWeighted>([&](auto classes) {
          softmax_statistics<T, decltype(classes)::value, kWeighted>(steps, work(), totals_);
        });
    }
  }

  template <bool kWeighted, class Target>
  void differentiate(const Steps<T, Target>& steps, const Sink<T>& sink) {
    switch (in_.activation) {
      case Activation::none:
        return pointwise_gradient<T, false, kWeighted>(steps, slopes_, sink);
      case Activation::sigmoid:
        return pointwise_gradient<T, true, kWeighted>(steps, slopes_, sink);
      case Activation::softmax:
        return with_classes<kWeighted>([&](auto classes) {
          softmax_gradient<T, decltype(classes)::value, kWeighted>(steps, slopes_, work(), sink);
        });
    }
  }

  template <int kValue>
  struct Constant {
    static constexpr int value = kValue;
  };

  template <class Pointer>
  struct Pointee;
  template <class Value>
  struct Pointee<Value*> {
    using type = Value;
  };

  /// Calls visit with the number of classes as a constant, for the unweighted float32 passes with few classes.
  template <bool kWeighted, class Visit>
  WARPDICE_INLINE void with_classes(Visit visit) {
    if constexpr (sizeof(T) == 4 && !kWeighted) {
      switch (in_.classes) {
        case 2:
          return visit(Constant<2>{});
        case 3:
          return visit(Constant<3>{});
        case 4:
          return visit(Constant<4>{});
        case 5:
          return visit(Constant<5>{});
        case 6:
          return visit(Constant<6>{});
        case 7:
          return visit(Constant<7>{});
        case 8:
          return visit(Constant<8>{});
      }
    }
    visit(Constant<0>{});
  }

  /// Numerators may replace the staged predictions: each is written after the last read of its place.
  Vec<T>* work() { return reinterpret_cast<Vec<T>*>(staged_); }

  const Inputs& in_;
  const Run& run_;
  Stager<T> stager_;
  bool channels_last_, weighted_, check_target_ = false;
  LabelFault faults_;
  size_t totals_bytes_;
  T *staged_, *staged_target_;  // [C][kStep<T>]: predictions, then numerators, then gradient; target
  Totals* totals_;              // [C]
  Slope<T>* slopes_;            // [C]
  alignas(64) int32_t labels_[kBlockSteps * kStep<T>];
  alignas(64) T weights_[kBlockSteps * kStep<T>];
};

LabelFault statistics(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums) {
  if (in.predictions.dtype == DType::float64) return Runner<double>(in, run, workspace).statistics(sums);
  return Runner<float>(in, run, workspace).statistics(sums);
}

void gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
              const GradientOut& out) {
  if (in.predictions.dtype == DType::float64) return Runner<double>(in, run, workspace).gradient(coefficients, out);
  return Runner<float>(in, run, workspace).gradient(coefficients, out);
}

void stream_copy(void* to, const void* from, size_t size_bytes) {
  char* t = static_cast<char*>(to);
  const char* f = static_cast<const char*>(from);
  const size_t misaligned = reinterpret_cast<uintptr_t>(t) % kVectorBytes;
  size_t head = misaligned ? kVectorBytes - misaligned : 0;
  if (head > size_bytes) head = size_bytes;
  memcpy(t, f, head);
  size_t at = head;
  for (; at + kVectorBytes <= size_bytes; at += kVectorBytes) stream(t + at, load<Vec<float>>(f + at));
  memcpy(t + at, f + at, size_bytes - at);
  stream_fence();
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
#define WARPDICE_STRING(name) #name
#define WARPDICE_NAME(name) WARPDICE_STRING(name)
    WARPDICE_NAME(WARPDICE_TARGET), statistics, gradient, stream_copy};

}  // namespace warpdice::cpu::WARPDICE_TARGET
