#pragma once
// Counts a run of voxels as math/counts.h says, block by block. Target and predictions give each voxel a code of its
// class (predicted_class.h); the pairs of codes are counted.
#include "cpu/kernels/check_labels.h"
#include "cpu/kernels/layout.h"
#include "cpu/kernels/predicted_class.h"
#include "math/counts.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// With at most so many classes a code fits in 4 bits, and a pair of codes in a byte. Each possible pair is then
/// compared with all voxels, which is faster than a table in memory.
constexpr int64_t kMaxCompared = 14;
/// With more classes than this, counts are added to the result itself: a table per run would cost more than the run.
constexpr int64_t kMaxTabled = 32;

inline void add_shared(int64_t* counts, int64_t more) { __atomic_fetch_add(counts, more, __ATOMIC_RELAXED); }

/// Code: uint8_t up to kMaxCompared classes, int32_t beyond.
template <class T, class Code>
class Counter {
 public:
  Counter(const CountInputs& inputs, const Run& run, Workspace& workspace)
      : inputs_(inputs), in_(inputs.in), run_(run), codes_{in_.classes} {
    const bool counts_locally = inputs.decision == Decision::threshold || in_.classes <= kMaxTabled;
    const size_t step_bytes = static_cast<size_t>(in_.classes) * kStep<T> * sizeof(T);
    const size_t local_bytes = counts_locally ? inputs.cells() * sizeof(int64_t) : 0;
    char* memory = static_cast<char*>(workspace.reserve(3 * step_bytes + local_bytes));
    staged_ = reinterpret_cast<T*>(memory);
    staged_target_ = reinterpret_cast<T*>(memory + step_bytes);
    layout_ = {in_.classes, in_.voxels, in_.interleaved(), reinterpret_cast<T*>(memory + 2 * step_bytes)};
    if (counts_locally) local_ = reinterpret_cast<int64_t*>(memory + 3 * step_bytes);
    memset(memory + 3 * step_bytes, 0, local_bytes);
  }

  /// counts: [cells()] of the sample. The run adds to them, as other threads may do at the same time.
  void count(int64_t* counts) {
    for (int64_t s = run_.begin; s < run_.end; s += kBlock) {
      const int voxels = run_.end - s < kBlock ? static_cast<int>(run_.end - s) : kBlock;
      read_targets(s, voxels);
      leave_out(s, voxels);
      if (inputs_.decision == Decision::threshold) {
        count_classes(s, voxels);
        continue;
      }
      read_predictions(s, voxels);
      if constexpr (sizeof(Code) == 1) count_pairs(whole_steps(voxels));
      else if (local_) table_pairs(voxels);
      else share_pairs(voxels, counts);
    }
    if (!local_) return;
    for (int64_t i = 0; i < inputs_.cells(); i++) {
      if (local_[i] != 0) add_shared(counts + i, local_[i]);
    }
  }

 private:
  typedef uint8_t Bytes __attribute__((vector_size(kVectorBytes)));
  static constexpr int kBlock = 16 * kStep<T>;

  /// Rounded up.
  static int whole_steps(int voxels) { return (voxels + kStep<T> - 1) / kStep<T> * kStep<T>; }

  bool direct(const Operand& operand) const { return operand.dtype == kDType<T> && !layout_.channels_last; }

  void stage(const Operand& operand, int64_t s, int voxels, T* to) { layout_.load(operand, run_.n, s, voxels, to); }

  /// Computes the codes of a whole array. Padding gets any code.
  void read_dense(const Operand& operand, int64_t s, int voxels, bool is_target, Code* codes) {
    int at = 0;
    if (direct(operand)) {
      at = voxels / kStep<T> * kStep<T>;
      const T* values = static_cast<const T*>(operand.data) + layout_.offset(run_.n, s);
      predicted_classes(in_.classes, values, in_.voxels, at, is_target, codes);
    }
    for (; at < voxels; at += kStep<T>) {
      stage(operand, s + at, voxels - at < kStep<T> ? voxels - at : kStep<T>, staged_);
      predicted_classes(in_.classes, staged_, kStep<T>, kStep<T>, is_target, codes + at);
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
    alignas(64) T weights[kStep<T>];
    with_elements(in_.weight, [&](const auto* array) {
      const auto* from = array + run_.n * in_.voxels + s;
      for (int at = 0; at < voxels; at += kStep<T>) {
        load_row<T>(from + at, voxels - at < kStep<T> ? voxels - at : kStep<T>, weights);
        for (int i = 0; i < kStep<T>; i++) truth_[at + i] = weights[i] != 0 ? truth_[at + i] : codes_.uncounted();
      }
    });
  }

  /// Counts pairs of codes that fit in a byte, by comparing them with each possible pair.
  void count_pairs(int voxels) {
    for (int i = 0; i < voxels; i++) predicted_[i] = static_cast<Code>(truth_[i] << 4 | predicted_[i]);
    int64_t* cell = local_;
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
      if (truth_[i] != codes_.uncounted()) local_[truth_[i] * K + predicted_[i]]++;
    }
  }

  void share_pairs(int voxels, int64_t* counts) {
    const int64_t K = in_.classes + 1;
    for (int i = 0; i < voxels; i++) {
      if (truth_[i] != codes_.uncounted()) add_shared(counts + truth_[i] * K + predicted_[i], 1);
    }
  }

  /// Decision threshold.
  void count_classes(int64_t s, int voxels) {
    int at = 0;
    if (direct(in_.predictions) && (in_.labels || direct(in_.target))) {
      at = voxels / kStep<T> * kStep<T>;
      const int64_t from = layout_.offset(run_.n, s);
      count_above(static_cast<const T*>(in_.predictions.data) + from,
                  in_.labels ? nullptr : static_cast<const T*>(in_.target.data) + from, in_.voxels, 0, at);
    }
    for (; at < voxels; at += kStep<T>) {
      const int left = voxels - at < kStep<T> ? voxels - at : kStep<T>;
      stage(in_.predictions, s + at, left, staged_);
      if (!in_.labels) stage(in_.target, s + at, left, staged_target_);
      count_above(staged_, in_.labels ? nullptr : staged_target_, kStep<T>, at, kStep<T>);
    }
  }

  /// values, target (null: labels): class c begins at c * stride. begin: their place in the block. NaN is above
  /// nothing.
  void count_above(const T* values, const T* target, int64_t stride, int begin, int count) {
    const Code* truth = truth_ + begin;
    mark(count, counted_, [&](int i) { return truth[i] != codes_.uncounted(); });
    for (int64_t c = 0; c < in_.classes; c++) {
      mark_above(values + c * stride, static_cast<T>(inputs_.threshold), count, above_);
      if (target) mark_above(target + c * stride, T{0.5}, count, positive_);
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
      int64_t* cells = local_ + 4 * c;
      cells[0] += sum_bytes(totals) - tp - fp - fn;
      cells[1] += fp;
      cells[2] += fn;
      cells[3] += tp;
    }
  }

  /// Sets all bits of a byte where the comparison is true.
  template <class Holds>
  static void mark(int count, uint8_t* marks, Holds holds) {
    for (int i = 0; i < count; i++) marks[i] = holds(i) ? 255 : 0;
  }

  static void mark_above(const T* values, T bound, int count, uint8_t* marks) {
    typedef typename Alike<T, int8_t>::V Narrow;
    for (int i = 0; i < count; i += Simd<T>::lanes) {
      store(marks + i, __builtin_convertvector(load<Vec<T>>(values + i) > bound, Narrow));
    }
  }

  const CountInputs& inputs_;
  const Inputs& in_;
  const Run& run_;
  LayoutConverter<T> layout_;
  ClassCodes<Code> codes_;
  T *staged_, *staged_target_;  // [C][kStep<T>]
  int64_t* local_ = nullptr;    // [cells()], or null
  alignas(64) Code truth_[kBlock];
  alignas(64) Code predicted_[kBlock];
  alignas(64) uint8_t counted_[kBlock], positive_[kBlock], above_[kBlock];  // marks of one class
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
