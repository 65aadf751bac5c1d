#pragma once
// Hard metrics on the CPU: what was counted, and counting.
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cpu/kernels/kernels.h"
#include "cpu/pair_table.h"
#include "cpu/regions.h"

namespace warpdice::cpu {

/// What is counted.
struct CountKind {
  Decision decision = Decision::argmax;
  int64_t classes = 1;
  bool by_sample = false;
  Regions regions = {};                 // scored in place of the classes, unless there are none; not for threshold
  std::vector<double> thresholds = {};  // for threshold: each has cells and rows of its own, unless there are none

  int64_t tables() const { return thresholds.empty() ? 1 : static_cast<int64_t>(thresholds.size()); }
  int64_t cells() const { return tables() * cells_of(decision, classes); }
  /// Whether a device counts the cells of each sample, from which the rows of regions follow.
  bool has_cells_of_samples() const { return by_sample && !regions.empty(); }
  /// How many classes or regions a row has.
  int64_t scored() const { return regions.empty() ? tables() * classes : regions.count(); }
  bool operator==(const CountKind& other) const {
    return decision == other.decision && classes == other.classes && by_sample == other.by_sample &&
           regions == other.regions && thresholds == other.thresholds;
  }
};

/// The name of each sample, empty for none; or no names at all. Samples of one name are one sample.
using SampleNames = std::vector<std::string>;

/// The counts of a batch or of a data set: added up over the samples, and for each sample where that is wanted. Up to
/// 1023 classes all pairs of classes have their place; with more the pairs that occurred are listed.
class Counts {
 public:
  explicit Counts(CountKind kind);
  Counts(Decision decision, int64_t classes, bool by_sample) : Counts(CountKind{decision, classes, by_sample}) {}

  const CountKind& kind() const { return kind_; }
  int64_t samples() const { return samples_; }
  int64_t cells() const { return kind_.cells(); }
  /// The numbers of a sample's row.
  int64_t row_size() const { return 4 * kind_.scored(); }
  /// What it takes, in memory.
  size_t bytes() const;

  /// Adds other counts of the same kind, whose samples have these names. Throws before it changes anything.
  void add(const Counts& other, const SampleNames& names = {});
  /// Names all samples, which must have different names. Throws before it changes anything.
  void name(const SampleNames& names);
  SampleNames names() const;
  /// Takes over what other counts of the same kind hold. The kind is never written again: threads read it freely.
  void replace(Counts&& other);
  void clear();

  /// Other counts of the same kind, of so many samples. cells: [cells()]; rows: [samples,row_size()], not read when
  /// they are not kept.
  Counts like(int64_t samples, const double* cells, const double* rows) const;
  /// Other counts of the same kind, from what a device has written: for each threshold, or for each sample when
  /// has_cells_of_samples(), or once, a part of `stride` numbers. It begins with its cells; else than for samples, the
  /// rows follow, where they are kept, [samples,4*classes] without TN: see RowPlaces.
  Counts from_parts(int64_t samples, const int64_t* parts, int64_t stride) const;

  /// Writes [cells()].
  void write_cells(double* to) const;
  /// Writes the cells of pairs without the last row and column: [C,C].
  void write_confusion(double* to) const;
  /// Writes TN, FP, FN and TP of each class or region: [row_size()].
  void write_classes(double* to) const;
  /// Writes the same for each sample: [samples,row_size()].
  void write_rows(double* to) const;

  /// Whether these label maps can only be one-hot masks: of all values of both one in C is 1, the others are 0.
  bool looks_one_hot() const;

 private:
  friend class Counting;

  template <class Visit>
  void for_each_cell(Visit visit) const;
  /// Calls add(place) for each number of a row to which a voxel of the cell adds; TN as for RowPlaces.
  template <class Add>
  void for_each_place(int64_t cell, Add add) const;
  void add_cell(int64_t cell, int64_t count);
  void complete_rows();

  CountKind kind_;
  int64_t samples_ = 0;
  std::vector<int64_t> dense_;            // [cells()], or empty
  PairTable sparse_;                      // where dense_ is empty
  std::vector<int64_t> rows_;             // [samples,row_size()]
  std::map<std::string, int64_t> named_;  // the samples that have names
};

/// Counts a run of voxels in one or more pieces, each of which it passes on. A piece's table begins with first_cell.
using AddCounts = std::function<void(const RunCounts& piece, int64_t first_cell)>;
using CountRun = std::function<CountFaults(const Run& run, const AddCounts& add)>;

/// Calls count(inputs, first cell) for the inputs of each threshold, or once, until it returns faults.
template <class Count>
CountFaults for_each_threshold(const CountInputs& inputs, const CountKind& kind, Count count) {
  if (kind.thresholds.empty()) return count(inputs, int64_t{0});
  CountInputs one = inputs;
  CountFaults faults;
  int64_t first_cell = 0;
  for (const double threshold : kind.thresholds) {
    one.threshold = threshold;
    faults = count(one, first_cell);
    if (faults.any()) break;
    first_cell += inputs.cells();
  }
  return faults;
}

/// Counts a batch run by run. For the rest see count().
CountFaults count_runs(const CountInputs& inputs, Counts& counts, const CountRun& count_run);

/// Counts a batch into `counts`, which are new. When there are faults they are of no use.
CountFaults count(const CountInputs& inputs, Counts& counts);

}  // namespace warpdice::cpu
