#pragma once
// Hard metrics on the CPU: what was counted, and counting.
#include <functional>
#include <mutex>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "cpu/pair_table.h"

namespace warpdice::cpu {

/// The counts of a batch or of a data set: added up over the samples, and for each sample where that is wanted. Up to
/// 1023 classes all pairs of classes have their place; with more the pairs that occurred are listed.
class Counts {
 public:
  Counts(Decision decision, int64_t classes, bool by_sample);

  Decision decision() const { return decision_; }
  int64_t classes() const { return classes_; }
  bool by_sample() const { return by_sample_; }
  int64_t samples() const { return samples_; }
  int64_t cells() const { return cells_of(decision_, classes_); }
  /// What it takes, in memory.
  size_t bytes() const;

  bool same_kind(const Counts& other) const {
    return decision_ == other.decision_ && classes_ == other.classes_ && by_sample_ == other.by_sample_;
  }

  /// Adds other counts of the same kind. Throws before it changes anything.
  void add(const Counts& other);
  /// Takes over what other counts of the same kind hold. The kind is never written again: threads read it freely.
  void replace(Counts&& other);
  void clear();

  /// Other counts of the same kind, of so many samples. cells: [cells()]; rows: [samples,C,4], not read when
  /// by_sample() is false. complete: whether the rows hold TN; see RowPlaces.
  template <class Number>
  Counts like(int64_t samples, const Number* cells, const Number* rows, bool complete) const;

  /// Writes [cells()].
  void write_cells(double* to) const;
  /// Writes the cells of pairs without the last row and column: [C,C].
  void write_confusion(double* to) const;
  /// Writes TN, FP, FN and TP of each class: [C,4].
  void write_classes(double* to) const;
  /// Writes the same for each sample: [samples,C,4].
  void write_rows(double* to) const;

  /// Whether label maps of these predictions can only be one-hot masks: of all values one in C is 1, the others are 0.
  bool looks_one_hot() const;

 private:
  friend class Counting;

  template <class Visit>
  void for_each_cell(Visit visit) const;
  void complete_rows();

  Decision decision_;
  int64_t classes_, samples_ = 0;
  bool by_sample_;
  std::vector<int64_t> dense_;  // [cells()], or empty
  PairTable sparse_;            // where dense_ is empty
  std::vector<int64_t> rows_;   // [samples,C,4]
};

/// Counts a run of voxels in one or more pieces, each of which it passes on.
using AddCounts = std::function<void(const RunCounts& piece)>;
using CountRun = std::function<CountFaults(const Run& run, const AddCounts& add)>;

/// Counts a batch run by run. For the rest see count().
CountFaults count_runs(const CountInputs& inputs, Counts& counts, const CountRun& count_run);

/// Counts a batch into `counts`, which are new. When there are faults they are of no use.
CountFaults count(const CountInputs& inputs, Counts& counts);

}  // namespace warpdice::cpu
