// Counts of batches and data sets. A batch is cut into runs of voxels, which the threads share; integers add up to the
// same counts in any order.
#include "cpu/counts.h"

#include <algorithm>

#include "cpu/memory/workspace.h"
#include "cpu/partition.h"
#include "cpu/pool.h"

namespace warpdice::cpu {
namespace {

/// Up to 8 MB of cells are all there.
constexpr int64_t kMaxDense = int64_t{1} << 20;

void add_shared(int64_t& to, int64_t more) { __atomic_fetch_add(&to, more, __ATOMIC_RELAXED); }

}  // namespace

Counts::Counts(Decision decision, int64_t classes, bool by_sample)
    : decision_(decision), classes_(classes), by_sample_(by_sample) {
  if (decision == Decision::threshold || cells() <= kMaxDense) dense_.resize(static_cast<size_t>(cells()));
}

size_t Counts::bytes() const { return (dense_.capacity() + rows_.capacity()) * sizeof(int64_t) + sparse_.bytes(); }

void Counts::add(const Counts& other) {
  if (rows_.capacity() < rows_.size() + other.rows_.size()) {
    rows_.reserve(std::max(2 * rows_.size(), rows_.size() + other.rows_.size()));
  }
  sparse_.reserve(other.sparse_.size());
  for (size_t i = 0; i < dense_.size(); i++) dense_[i] += other.dense_[i];
  other.sparse_.for_each([&](int64_t pair, int64_t count) { sparse_.add(pair, count); });
  rows_.insert(rows_.end(), other.rows_.begin(), other.rows_.end());
  samples_ += other.samples_;
}

void Counts::replace(Counts&& other) {
  dense_ = std::move(other.dense_);
  sparse_ = std::move(other.sparse_);
  rows_ = std::move(other.rows_);
  samples_ = other.samples_;
}

void Counts::complete_rows() {
  if (decision_ == Decision::threshold) return;
  const auto size = static_cast<size_t>(classes_ * 4);
  for (size_t at = 0; at < rows_.size(); at += size) fill_in_true_negatives(classes_, rows_.data() + at);
}

template <class Number>
Counts Counts::like(int64_t samples, const Number* cells, const Number* rows, bool complete) const {
  Counts more(decision_, classes_, by_sample_);
  for (int64_t i = 0; i < this->cells(); i++) {
    const auto count = static_cast<int64_t>(cells[i]);
    if (count == 0) continue;
    if (more.dense_.empty()) more.sparse_.add(i, count);
    else more.dense_[static_cast<size_t>(i)] = count;
  }
  if (by_sample_) {
    more.rows_.resize(static_cast<size_t>(samples * classes_ * 4));
    std::transform(rows, rows + more.rows_.size(), more.rows_.begin(),
                   [](Number x) { return static_cast<int64_t>(x); });
  }
  more.samples_ = samples;
  if (!complete) more.complete_rows();
  return more;
}
template Counts Counts::like(int64_t samples, const int64_t* cells, const int64_t* rows, bool complete) const;
template Counts Counts::like(int64_t samples, const double* cells, const double* rows, bool complete) const;

void Counts::clear() {
  std::fill(dense_.begin(), dense_.end(), 0);
  sparse_.clear();
  rows_ = {};
  samples_ = 0;
}

template <class Visit>
void Counts::for_each_cell(Visit visit) const {
  for (size_t i = 0; i < dense_.size(); i++) {
    if (dense_[i] != 0) visit(static_cast<int64_t>(i), dense_[i]);
  }
  sparse_.for_each(visit);
}

void Counts::write_cells(double* to) const {
  std::fill(to, to + cells(), 0);
  for_each_cell([&](int64_t cell, int64_t count) { to[cell] = static_cast<double>(count); });
}

void Counts::write_confusion(double* to) const {
  const int64_t C = classes_, K = C + 1;
  std::fill(to, to + C * C, 0);
  for_each_cell([&](int64_t cell, int64_t count) {
    const int64_t t = cell / K, p = cell % K;
    if (t < C && p < C) to[t * C + p] = static_cast<double>(count);
  });
}

void Counts::write_classes(double* to) const {
  std::vector<int64_t> row(static_cast<size_t>(classes_ * 4));
  for_each_cell([&](int64_t cell, int64_t count) {
    for (const int64_t place : row_places(decision_, classes_, cell).places) {
      if (place >= 0) row[static_cast<size_t>(place)] += count;
    }
  });
  if (decision_ != Decision::threshold) fill_in_true_negatives(classes_, row.data());
  std::copy(row.begin(), row.end(), to);
}

void Counts::write_rows(double* to) const { std::copy(rows_.begin(), rows_.end(), to); }

bool Counts::looks_one_hot() const {
  const int64_t K = classes_ + 1;
  int64_t zeros = 0, ones = 0, others = 0;
  for_each_cell([&](int64_t cell, int64_t count) {
    const int64_t p = cell % K;
    (p == 0 ? zeros : p == 1 ? ones : others) += count;
  });
  return others == 0 && ones > 0 && zeros == ones * (classes_ - 1);
}

/// One batch under way, to which several threads add.
class Counting {
 public:
  Counting(const CountInputs& inputs, Counts& counts) : inputs_(inputs), counts_(counts) {
    counts.samples_ = inputs.in.samples;
    if (counts.by_sample_) counts.rows_.resize(static_cast<size_t>(inputs.in.samples * row_size()));
  }

  void add(int64_t sample, const RunCounts& run) {
    int64_t* row = counts_.by_sample_ ? counts_.rows_.data() + sample * row_size() : nullptr;
    const bool dense = !counts_.dense_.empty();
    const auto add_cell = [&](int64_t cell, int64_t count) {
      if (dense) add_shared(counts_.dense_[static_cast<size_t>(cell)], count);
      if (!row) return;
      for (const int64_t place : row_places(counts_.decision_, counts_.classes_, cell).places) {
        if (place >= 0) add_shared(row[place], count);
      }
    };
    if (run.table) {
      for (int64_t i = 0; i < inputs_.cells(); i++) {
        if (run.table[i] != 0) add_cell(i, run.table[i]);
      }
    }
    for (int64_t i = 0; i < run.pair_count; i++) add_cell(run.pairs[i].pair, run.pairs[i].count);
    if (dense) return;
    std::lock_guard<std::mutex> lock(mutex_);
    for (int64_t i = 0; i < run.pair_count; i++) counts_.sparse_.add(run.pairs[i].pair, run.pairs[i].count);
  }

  void add(const CountFaults& faults) {
    if (!faults.any()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    faults_.add(faults);
  }

  CountFaults finish() {
    counts_.complete_rows();
    return faults_;
  }

 private:
  int64_t row_size() const { return counts_.classes_ * 4; }

  const CountInputs& inputs_;
  Counts& counts_;
  CountFaults faults_;
  std::mutex mutex_;
};

CountFaults count_runs(const CountInputs& inputs, Counts& counts, const CountRun& count_run) {
  constexpr int64_t kMinElements = 65536;
  Counting counting(inputs, counts);
  Inputs read = inputs.in;
  // A label map has one number per voxel, and 16384 of them fit the cache of one core together with the target's.
  if (inputs.decision == Decision::labels) read.classes = std::min<int64_t>(read.classes, 4);
  const Partition partition(read, kMinElements, inputs.in.voxels);  // no upper limit on the number of runs
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(inputs.in, i);
    counting.add(count_run(run, [&](const RunCounts& piece) { counting.add(run.n, piece); }));
  });
  return counting.finish();
}

CountFaults count(const CountInputs& inputs, Counts& counts) {
  return count_runs(inputs, counts, [&](const Run& run, const AddCounts& add) {
    static thread_local Workspace workspace;
    const TrimmedAtEnd trimmed(workspace);
    RunCounts counted;
    const CountFaults faults = kernels().count(inputs, run, workspace, counted);
    add(counted);
    return faults;
  });
}

}  // namespace warpdice::cpu
