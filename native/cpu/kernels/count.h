#pragma once
// Counts a run of voxels as math/counts.h says, block by block. Target and predictions give each voxel a code of its
// class (predicted_class.h); the pairs of codes are counted.
#include "cpu/kernels/check_labels.h"
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/layout.h"
#include "cpu/kernels/pass_bytes.h"
#include "cpu/kernels/predicted_class.h"
#include "cpu/memory/read_values.h"
#include "math/counts.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// With at most so many classes a code fits in 4 bits, and a pair of codes in a byte. Each possible pair is then
/// compared with all voxels, which is faster than a table in memory.
constexpr int64_t kMaxCompared = 14;

/// Code: uint8_t for floats of up to kMaxCompared classes, else int32_t.
template <class T, class Code>
class Counter {
 public:
  Counter(const CountInputs& inputs, const Run& run, Workspace& workspace)
      : inputs_(inputs), in_(inputs.in), run_(run), codes_{in_.classes} {
    const size_t counted_bytes = bytes_of_counts(inputs, run.end - run.begin);
    const size_t step = step_bytes(in_.classes, kVectorBytes), steps = in_.padded ? 0 : in_.class_weight.data ? 4 : 3;
    char* memory = static_cast<char*>(workspace.reserve(steps * step + counted_bytes));
    staged_ = reinterpret_cast<T*>(memory);
    staged_target_ = reinterpret_cast<T*>(memory + step);
    layout_ = {in_.classes, in_.voxels, in_.interleaved(), reinterpret_cast<T*>(memory + 2 * step)};
    staged_weight_ = reinterpret_cast<T*>(memory + 3 * step);
    char* const counts = memory + steps * step;
    if (counts_in_table(inputs)) {
      table_ = reinterpret_cast<int64_t*>(counts);
      memset(table_, 0, counted_bytes);
    } else {
      pairs_ = reinterpret_cast<PairCount*>(counts);
    }
  }

  /// Returns values that can be no probability. counted: written, of use if there are none; in the workspace.
  CountFaults count(RunCounts& counted) {
    for (int64_t s = run_.begin; s < run_.end; s += kBlock) {
      const int voxels = run_.end - s < kBlock ? static_cast<int>(run_.end - s) : kBlock;
      read_targets(s, voxels);
      leave_out(s, voxels);
      if (inputs_.decision == Decision::threshold) {
        count_classes(s, voxels);
      } else {
        read_predictions(s, voxels);
        if constexpr (sizeof(Code) == 1) count_pairs(whole_steps(voxels));
        else if (table_) table_pairs(voxels);
        else list_pairs(voxels);
      }
      if (strange_target_) note_strange(in_.target, s, voxels, faults_.target);
      if (strange_predictions_) note_strange(in_.predictions, s, voxels, faults_.predictions);
      strange_target_ = strange_predictions_ = false;
    }
    counted = {table_, pairs_, pair_count_};
    return faults_;
  }

 private:
  typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
  static constexpr int kBlock = 16 * kStep<T>;

  /// Rounded up.
  static int whole_steps(int voxels) { return (voxels + kStep<T> - 1) / kStep<T> * kStep<T>; }

  /// The voxels of a block that can be read in place.
  int direct_voxels(int voxels) const { return in_.padded ? whole_steps(voxels) : voxels / kStep<T> * kStep<T>; }

  bool direct(const Operand& operand) const { return operand.dtype == kDType<T> && !layout_.channels_last; }

  __attribute__((noinline)) void stage(const Operand& operand, int64_t s, int voxels, T* to) {
    if (operand.dtype > DType::uint8) stage_wide_mask(operand, s, voxels, to);
    else layout_.load(operand, run_.n, s, voxels, to);
  }

  /// A mask of integers wider than a byte: too rare for more than a plain loop.
  void stage_wide_mask(const Operand& operand, int64_t s, int voxels, T* to) {
    double bits[kStep<T>] = {};
    for (int64_t c = 0; c < in_.classes; c++, to += kStep<T>) {
      read_values(operand, place(c, s), layout_.channels_last ? in_.classes : 1, voxels, bits);
      for (int i = 0; i < kStep<T>; i++) to[i] = static_cast<T>(bits[i]);
    }
  }

  /// Of class c of voxel s.
  int64_t place(int64_t c, int64_t s) const {
    return layout_.offset(run_.n, s) + c * (layout_.channels_last ? 1 : in_.voxels);
  }

  /// The values that can be no probability. A NaN cannot be one of a target; among predictions it may.
  static Mask<T> strange(Vec<T> value, bool is_target) {
    constexpr T kLeast = -kProbabilityTolerance, kMost = 1 + kProbabilityTolerance;
    return is_target ? ~((value >= kLeast) & (value <= kMost)) : (value < kLeast) | (value > kMost);
  }

  /// values: class c of a dense target begins at c * stride.
  void look_for_strange_targets(const T* values, int64_t stride, int count) {
    if (in_.target.dtype >= DType::uint8) return;
    Mask<T> found = {};
    for (int64_t c = 0; c < in_.classes; c++) {
      for (int i = 0; i < count; i += Simd<T>::lanes) found |= strange(load<Vec<T>>(values + c * stride + i), true);
    }
    strange_target_ |= any(found);
  }

  /// Goes through a block in which something strange was found. Voxels that do not count may have any value.
  void note_strange(const Operand& operand, int64_t s, int voxels, LabelFault& faults) {
    const bool is_target = &operand == &in_.target;
    for (int64_t c = 0; c < in_.classes; c++) {
      for (int i = 0; i < voxels; i++) {
        const int64_t at = place(c, s + i);
        const T value = element(operand, at);
        const bool inside = value >= -kProbabilityTolerance && value <= 1 + kProbabilityTolerance;
        if (inside || (value != value && !is_target) || truth_[i] == codes_.uncounted()) continue;
        if (in_.class_weight.data && element(in_.class_weight, at) == 0) continue;
        faults.add({1, at, static_cast<double>(value)});
      }
    }
  }

  static T element(const Operand& operand, int64_t at) {
    double value;
    read_values(operand, at, 1, 1, &value);
    return static_cast<T>(value);
  }

  /// Whether a value of a float mask, which has one class, is to be ignored.
  bool is_ignored(T value) const { return in_.has_ignore && value == static_cast<T>(in_.ignore_index); }

  /// Computes the codes of a whole array. Padding gets any code.
  void read_dense(const Operand& operand, int64_t s, int voxels, bool is_target, Code* codes) {
    const bool is_mask = is_target || inputs_.predicts_masks();
    int at = 0;
    if (direct(operand)) {
      at = direct_voxels(voxels);
      const T* values = static_cast<const T*>(operand.data) + layout_.offset(run_.n, s);
      predicted_classes(in_.classes, values, in_.voxels, at, is_mask, codes);
      if (is_target) look_for_strange_targets(values, in_.voxels, at);
    }
    for (; at < voxels; at += kStep<T>) {
      stage(operand, s + at, voxels - at < kStep<T> ? voxels - at : kStep<T>, staged_);
      predicted_classes(in_.classes, staged_, kStep<T>, kStep<T>, is_mask, codes + at);
      if (is_target) look_for_strange_targets(staged_, kStep<T>, kStep<T>);
    }
  }

  void read_labels(const Operand& operand, int64_t s, int voxels, Code if_ignored, Code* codes) {
    with_labels(operand, [&](const auto* labels) {
      classes_of_labels(in_, labels + run_.n * in_.voxels + s, voxels, if_ignored, codes);
    });
  }

  void read_targets(int64_t s, int voxels) {
    if (in_.labels) read_labels(in_.target, s, voxels, codes_.uncounted(), truth_);
    else if (inputs_.decision != Decision::threshold) read_dense(in_.target, s, voxels, true, truth_);
    else memset(truth_, 0, sizeof truth_);  // count_classes reads the target itself
  }

  void read_predictions(int64_t s, int voxels) {
    if (inputs_.decision == Decision::labels) read_labels(in_.predictions, s, voxels, codes_.no_class(), predicted_);
    else read_dense(in_.predictions, s, voxels, false, predicted_);
  }

  /// Voxels of weight 0, and padding.
  void leave_out(int64_t s, int voxels) {
    for (int i = voxels; i < whole_steps(voxels); i++) {
      truth_[i] = codes_.uncounted();
      predicted_[i] = 0;
    }
    if (!in_.weight.data) return;
    alignas(64) uint8_t weighted[kBlock];
    mark_weighted(in_.weight, run_.n * in_.voxels + s, voxels, weighted);
    for (int i = 0; i < voxels; i++) truth_[i] = weighted[i] ? truth_[i] : codes_.uncounted();
  }

  /// Counts pairs of codes that fit in a byte, by comparing them with each possible pair.
  void count_pairs(int voxels) {
    for (int i = 0; i < voxels; i++) predicted_[i] = static_cast<Code>(truth_[i] << 4 | predicted_[i]);
    int64_t* cell = table_;
    for (int64_t t = 0; t <= in_.classes; t++) {
      for (int64_t p = 0; p <= in_.classes; p++) {
        const uint8_t code = static_cast<uint8_t>(t << 4 | p);
        const Bytes pair = Bytes{} + code;
        Bytes found = {};  // at most one per vector of a block: no overflow
        for (int i = 0; i < voxels; i += kVectorBytes) {
          found -= (Bytes)(load<Bytes>(predicted_ + i) == pair);  // the comparison gives -1 for true
        }
        *cell++ += sum_bytes(found);
      }
    }
  }

  void table_pairs(int voxels) {
    const int64_t K = in_.classes + 1;
    for (int i = 0; i < voxels; i++) {
      if (truth_[i] != codes_.uncounted()) table_[truth_[i] * K + predicted_[i]]++;
    }
  }

  /// Neighbours are often alike: a pair that comes several times in a row is listed once.
  void list_pairs(int voxels) {
    const int64_t K = in_.classes + 1;
    for (int i = 0; i < voxels; i++) {
      if (truth_[i] == codes_.uncounted()) continue;
      const int64_t pair = truth_[i] * K + predicted_[i];
      if (pair_count_ == 0 || pairs_[pair_count_ - 1].pair != pair) pairs_[pair_count_++] = {pair, 0};
      pairs_[pair_count_ - 1].count++;
    }
  }

  /// Decision threshold.
  void count_classes(int64_t s, int voxels) {
    int at = 0;
    const bool weighted = in_.class_weight.data;
    if (direct(in_.predictions) && (in_.labels || direct(in_.target)) && (!weighted || in_.padded)) {
      at = direct_voxels(voxels);
      const int64_t from = layout_.offset(run_.n, s);
      const auto place = [&](const Operand& operand) { return static_cast<const T*>(operand.data) + from; };
      count_above(place(in_.predictions), in_.labels ? nullptr : place(in_.target),
                  weighted ? place(in_.class_weight) : nullptr, in_.voxels, 0, at);
    }
    for (; at < voxels; at += kStep<T>) {
      const int left = voxels - at < kStep<T> ? voxels - at : kStep<T>;
      stage(in_.predictions, s + at, left, staged_);
      if (!in_.labels) stage(in_.target, s + at, left, staged_target_);
      if (weighted) stage(in_.class_weight, s + at, left, staged_weight_);
      count_above(staged_, in_.labels ? nullptr : staged_target_, weighted ? staged_weight_ : nullptr, kStep<T>, at,
                  kStep<T>);
    }
  }

  /// values, target (null: labels), weights of classes (null: none): class c begins at c * stride. begin: their place
  /// in the block. NaN is above nothing.
  void count_above(const T* values, const T* target, const T* weights, int64_t stride, int begin, int count) {
    Code* truth = truth_ + begin;
    if (target && in_.has_ignore) {
      for (int i = 0; i < count; i++) truth[i] = is_ignored(target[i]) ? codes_.uncounted() : truth[i];
    }
    mark(count, counted_, [&](int i) { return truth[i] != codes_.uncounted(); });
    Mask<T> predictions = {}, targets = {};  // strange ones
    for (int64_t c = 0; c < in_.classes; c++) {
      if (weights) {
        mark(count, counted_, [&](int i) { return truth[i] != codes_.uncounted() && weights[c * stride + i] != 0; });
      }
      predictions |= mark_above<false>(values + c * stride, static_cast<T>(inputs_.threshold), count, above_);
      if (target) targets |= mark_above<true>(target + c * stride, T{0.5}, count, positive_);
      else mark(count, positive_, [&](int i) { return truth[i] == static_cast<Code>(c); });
      Bytes totals = {}, positives = {}, predicted = {}, both = {};  // at most one per vector of a block: no overflow
      for (int i = 0; i < count; i += kVectorBytes) {
        const Bytes counted = load<Bytes>(counted_ + i);
        const Bytes positive = load<Bytes>(positive_ + i) & counted, above = load<Bytes>(above_ + i) & counted;
        totals -= counted;
        positives -= positive;
        predicted -= above;
        both -= positive & above;
      }
      const int tp = sum_bytes(both), fp = sum_bytes(predicted) - tp, fn = sum_bytes(positives) - tp;
      int64_t* cells = table_ + 4 * c;
      cells[0] += sum_bytes(totals) - tp - fp - fn;
      cells[1] += fp;
      cells[2] += fn;
      cells[3] += tp;
    }
    strange_predictions_ |= inputs_.predicts_probabilities() && any(predictions);
    strange_target_ |= in_.target.dtype < DType::uint8 && any(targets);
  }

  /// Sets all bits of a byte where the comparison is true.
  template <class Holds>
  static void mark(int count, uint8_t* marks, Holds holds) {
    for (int i = 0; i < count; i++) marks[i] = holds(i) ? 255 : 0;
  }

  /// Returns the lanes in which a value was strange.
  template <bool kIsTarget>
  static Mask<T> mark_above(const T* values, T bound, int count, uint8_t* marks) {
    typedef typename Alike<T, int8_t>::V Narrow;
    Mask<T> found = {};
    for (int i = 0; i < count; i += Simd<T>::lanes) {
      const Vec<T> value = load<Vec<T>>(values + i);
      store(marks + i, __builtin_convertvector(value > bound, Narrow));
      found |= strange(value, kIsTarget);
    }
    return found;
  }

  const CountInputs& inputs_;
  const Inputs& in_;
  const Run& run_;
  LayoutConverter<T> layout_;
  ClassCodes<Code> codes_;
  T *staged_, *staged_target_, *staged_weight_;  // [C][kStep<T>]
  int64_t* table_ = nullptr;                     // [cells()], or null
  PairCount* pairs_ = nullptr;                   // where there is no table
  int64_t pair_count_ = 0;
  CountFaults faults_;
  bool strange_target_ = false, strange_predictions_ = false;  // of this block
  alignas(64) Code truth_[kBlock];
  alignas(64) Code predicted_[kBlock];
  alignas(64) uint8_t counted_[kBlock], positive_[kBlock], above_[kBlock];  // marks of one class
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
