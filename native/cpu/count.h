#pragma once
// The counting of counts.h on a run of voxels, step by step: what a step's predictions and target name becomes one
// cell per voxel, and cells are counted.
#include "../counts.h"
#include "check.h"
#include "types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// More classes than this count in the result itself: a table per run would cost more than the run.
constexpr int64_t kMostLocalClasses = 32;
/// Up to this many classes neighbouring voxels, which tend to be alike, count in tables of their own: an increment
/// need not wait for the one before.
constexpr int64_t kMostSplitClasses = 8;

inline void add_shared(int64_t* counts, int64_t more) { __atomic_fetch_add(counts, more, __ATOMIC_RELAXED); }

template <class T>
class Counter {
 public:
  Counter(const CountInputs& inputs, const Run& run, Workspace& workspace)
      : inputs_(inputs), in_(inputs.in), run_(run), cells_(inputs.cells() + 1) {
    if (inputs.decision == Decision::threshold) tables_ = 1;
    else tables_ = in_.classes <= kMostSplitClasses ? 4 : in_.classes <= kMostLocalClasses ? 1 : 0;
    const size_t step_bytes = static_cast<size_t>(in_.classes) * kStep<T> * sizeof(T);
    char* memory = static_cast<char*>(workspace.reserve(3 * step_bytes + tables_ * cells_ * sizeof(int64_t)));
    staged_ = reinterpret_cast<T*>(memory);
    staged_target_ = reinterpret_cast<T*>(memory + step_bytes);
    stager_ = {in_.classes, in_.voxels, in_.interleaved(), reinterpret_cast<T*>(memory + 2 * step_bytes)};
    local_ = reinterpret_cast<int64_t*>(memory + 3 * step_bytes);
    memset(local_, 0, tables_ * cells_ * sizeof(int64_t));
  }

  /// counts: [cells()] of the sample, added to; other threads may do so meanwhile.
  void count(int64_t* counts) {
    for (int64_t s = run_.begin; s < run_.end; s += kStep<T>) {
      const int64_t left = run_.end - s;
      const int voxels = left < kStep<T> ? static_cast<int>(left) : kStep<T>;
      choose_voxels(s, voxels);
      load_target(s, voxels);
      if (inputs_.decision != Decision::labels) stage(in_.predictions, s, voxels, staged_);
      if (inputs_.decision == Decision::threshold) {
        for (int64_t c = 0; c < in_.classes; c++) count_class(c);
        continue;
      }
      if (inputs_.decision == Decision::argmax) name_largest(staged_, predicted_, false);
      else name_labels(in_.predictions, s, voxels, predicted_);
      count_pairs(counts);
    }
    for (int64_t i = 0; i < tables_ * cells_; i++) {
      const int64_t cell = i % cells_;
      if (local_[i] != 0 && cell != cells_ - 1) add_shared(counts + cell, local_[i]);
    }
  }

 private:
  int32_t nothing() const { return static_cast<int32_t>(in_.classes); }

  void stage(const Operand& operand, int64_t s, int voxels, T* to) {
    with_storage(operand.dtype, [&](auto* type) {
      stager_.load(static_cast<decltype(type)>(const_cast<void*>(operand.data)), run_.n, s, voxels, to);
    });
  }

  /// counted_: neither padding nor of weight 0; load_target takes out what is ignored.
  void choose_voxels(int64_t s, int voxels) {
    for (int i = 0; i < kStep<T>; i++) counted_[i] = i < voxels;
    if (!in_.weight.data) return;
    alignas(64) T weights[kStep<T>];
    with_storage(in_.weight.dtype, [&](auto* type) {
      type = static_cast<decltype(type)>(const_cast<void*>(in_.weight.data));
      load_row<T>(type + run_.n * in_.voxels + s, voxels, weights);
    });
    for (int i = 0; i < kStep<T>; i++) counted_[i] &= weights[i] != 0;
  }

  void load_target(int64_t s, int voxels) {
    if (in_.labels) return name_labels(in_.target, s, voxels, truth_, counted_);
    stage(in_.target, s, voxels, staged_target_);
    if (inputs_.decision != Decision::threshold) name_largest(staged_target_, truth_, true);
  }

  /// The classes that labels name. counted: null, or set to 0 where the label is the ignored one.
  void name_labels(const Operand& operand, int64_t s, int voxels, int32_t* names, int32_t* counted = nullptr) {
    with_label(operand.dtype, [&](auto* labels) {
      labels = static_cast<decltype(labels)>(const_cast<void*>(operand.data)) + run_.n * in_.voxels + s;
      for (int i = 0; i < voxels; i++) {
        const int64_t label = static_cast<int64_t>(labels[i]), c = label - in_.label_base();
        const bool is_class = c >= 0 && c < in_.classes;
        const bool ignored = in_.has_ignore && label == in_.ignore_index;
        names[i] = is_class && !ignored ? static_cast<int32_t>(c) : nothing();
        if (counted) counted[i] &= !ignored;
      }
    });
    for (int i = voxels; i < kStep<T>; i++) names[i] = nothing();
  }

  /// The class of the largest of values [C][kStep<T>], the lowest at a tie; none where one is NaN or, in a target,
  /// where all are 0.
  void name_largest(const T* values, int32_t* names, bool is_target) {
    for (int i = 0; i < kStep<T>; i += Simd<T>::lanes) {
      Vec<T> largest = load<Vec<T>>(values + i);
      Mask<T> name = {}, unordered = largest != largest;
      for (int64_t c = 1; c < in_.classes; c++) {
        const Vec<T> value = load<Vec<T>>(values + c * kStep<T> + i);
        const Mask<T> larger = value > largest;
        largest = larger ? value : largest;
        name = larger ? Mask<T>{} + static_cast<typename Simd<T>::Int>(c) : name;
        unordered |= value != value;
      }
      if (is_target) unordered |= largest <= Vec<T>{};
      name = unordered ? Mask<T>{} + static_cast<typename Simd<T>::Int>(in_.classes) : name;
      for (int lane = 0; lane < Simd<T>::lanes; lane++) names[i + lane] = static_cast<int32_t>(name[lane]);
    }
  }

  void count_pairs(int64_t* counts) {
    const int64_t K = in_.classes + 1;
    for (int i = 0; i < kStep<T>; i++) {
      const int64_t cell = counted_[i] ? truth_[i] * K + predicted_[i] : cells_ - 1;
      if (tables_ > 0) local_[(i & (tables_ - 1)) * cells_ + cell]++;
      else if (counted_[i]) add_shared(counts + cell, 1);
    }
  }

  /// NaN is above no threshold.
  void count_class(int64_t c) {
    const T threshold = static_cast<T>(inputs_.threshold);
    const T *values = staged_ + c * kStep<T>, *target = staged_target_ + c * kStep<T>;
    int32_t total = 0, positive = 0, predicted = 0, both = 0;
    for (int i = 0; i < kStep<T>; i++) {
      const int32_t is_target = (in_.labels ? truth_[i] == c : target[i] > T{0.5}) & counted_[i];
      const int32_t is_predicted = (values[i] > threshold) & counted_[i];
      total += counted_[i];
      positive += is_target;
      predicted += is_predicted;
      both += is_target & is_predicted;
    }
    int64_t* cells = local_ + 4 * c;
    cells[0] += total - positive - predicted + both;
    cells[1] += predicted - both;
    cells[2] += positive - both;
    cells[3] += both;
  }

  const CountInputs& inputs_;
  const Inputs& in_;
  const Run& run_;
  Stager<T> stager_;
  int64_t cells_, tables_;      // a table has one cell more, for voxels that are not counted
  T *staged_, *staged_target_;  // [C][kStep<T>]
  int64_t* local_;              // [tables_][cells_]
  alignas(64) int32_t counted_[kStep<T>];
  alignas(64) int32_t truth_[kStep<T>];
  alignas(64) int32_t predicted_[kStep<T>];
};

/// Counts a run unless it has faults: an error then, and nothing counts.
inline CountFaults count(const CountInputs& inputs, const Run& run, Workspace& workspace, int64_t* counts) {
  CountFaults faults;
  if (inputs.decision == Decision::labels) {
    Inputs maps = inputs.in;
    maps.target = maps.predictions;
    faults.predictions = check_target(maps, run);
  }
  faults.target = check_target(inputs.in, run);
  if (faults.predictions.count + faults.target.count > 0) return faults;
  if (inputs.in.predictions.dtype == DType::float64) Counter<double>(inputs, run, workspace).count(counts);
  else Counter<float>(inputs, run, workspace).count(counts);
  return faults;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
