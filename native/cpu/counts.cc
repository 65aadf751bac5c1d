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

Counts::Counts(CountKind kind) : kind_(std::move(kind)) {
  if (kind_.decision == Decision::threshold || cells() <= kMaxDense) dense_.resize(static_cast<size_t>(cells()));
}

size_t Counts::bytes() const { return (dense_.capacity() + rows_.capacity()) * sizeof(int64_t) + sparse_.bytes(); }

void Counts::add(const Counts& other, const SampleNames& names) {
  std::map<std::string, int64_t> fresh;
  std::vector<int64_t> to(static_cast<size_t>(other.samples_));  // where each sample goes
  int64_t samples = samples_;
  for (size_t n = 0; n < to.size(); n++) {
    if (names.empty() || names[n].empty()) {
      to[n] = samples++;
      continue;
    }
    const auto known = named_.find(names[n]);
    if (known != named_.end()) to[n] = known->second;
    else to[n] = fresh.emplace(names[n], samples).first->second;
    if (to[n] == samples) samples++;
  }
  const size_t row = static_cast<size_t>(row_size());
  const size_t rows = kind_.by_sample ? static_cast<size_t>(samples) * row : 0;
  if (rows_.capacity() < rows) rows_.reserve(std::max(2 * rows_.size(), rows));
  sparse_.reserve(other.sparse_.size());
  // From here on nothing throws.
  rows_.resize(rows);
  for (size_t i = 0; i < dense_.size(); i++) dense_[i] += other.dense_[i];
  other.sparse_.for_each([&](int64_t pair, int64_t count) { sparse_.add(pair, count); });
  for (size_t i = 0; i < other.rows_.size(); i++)
    rows_[static_cast<size_t>(to[i / row]) * row + i % row] += other.rows_[i];
  named_.merge(fresh);
  samples_ = samples;
}

void Counts::name(const SampleNames& names) {
  std::map<std::string, int64_t> named;
  for (size_t n = 0; n < names.size(); n++) {
    if (!names[n].empty()) named.emplace(names[n], static_cast<int64_t>(n));
  }
  named_ = std::move(named);
}

SampleNames Counts::names() const {
  SampleNames names(static_cast<size_t>(samples_));
  for (const auto& [name, n] : named_) names[static_cast<size_t>(n)] = name;
  return names;
}

void Counts::replace(Counts&& other) {
  dense_ = std::move(other.dense_);
  sparse_ = std::move(other.sparse_);
  rows_ = std::move(other.rows_);
  named_ = std::move(other.named_);
  samples_ = other.samples_;
}

template <class Add>
void Counts::for_each_place(int64_t cell, Add add) const {
  if (kind_.regions.empty()) {
    for (const int64_t place : row_places(kind_.decision, kind_.classes, cell).places) {
      if (place >= 0) add(place);
    }
    return;
  }
  const std::vector<int32_t>& target = kind_.regions.regions_of(cell / (kind_.classes + 1));
  const std::vector<int32_t>& predicted = kind_.regions.regions_of(cell % (kind_.classes + 1));
  add(0);
  auto p = predicted.begin();
  for (const int32_t region : target) {
    for (; p != predicted.end() && *p < region; ++p) add(4 * *p + 1);
    const bool both = p != predicted.end() && *p == region;
    add(4 * region + (both ? 3 : 2));
    if (both) ++p;
  }
  for (; p != predicted.end(); ++p) add(4 * *p + 1);
}

void Counts::complete_rows() {
  if (kind_.decision == Decision::threshold) return;
  const auto size = static_cast<size_t>(row_size());
  for (size_t at = 0; at < rows_.size(); at += size) fill_in_true_negatives(kind_.scored(), rows_.data() + at);
}

void Counts::add_cell(int64_t cell, int64_t count) {
  if (count == 0) return;
  if (dense_.empty()) sparse_.add(cell, count);
  else dense_[static_cast<size_t>(cell)] += count;
}

Counts Counts::like(int64_t samples, const double* cells, const double* rows) const {
  Counts more(kind_);
  more.samples_ = samples;
  for (int64_t i = 0; i < this->cells(); i++) more.add_cell(i, static_cast<int64_t>(cells[i]));
  if (kind_.by_sample) {
    more.rows_.resize(static_cast<size_t>(samples * row_size()));
    std::transform(rows, rows + more.rows_.size(), more.rows_.begin(),
                   [](double x) { return static_cast<int64_t>(x); });
  }
  return more;
}

Counts Counts::from_parts(int64_t samples, const int64_t* parts, int64_t stride) const {
  Counts more(kind_);
  more.samples_ = samples;
  if (kind_.by_sample) more.rows_.resize(static_cast<size_t>(samples * row_size()));
  int64_t* const to = more.rows_.data();
  const int64_t cells = this->cells() / kind_.tables();
  if (kind_.has_cells_of_samples()) {
    for (int64_t n = 0; n < samples; n++) {
      for (int64_t i = 0; i < cells; i++) {
        const int64_t count = parts[n * stride + i];
        if (count == 0) continue;
        more.add_cell(i, count);
        for_each_place(i, [&](int64_t place) { to[n * row_size() + place] += count; });
      }
    }
  } else {
    const int64_t row = 4 * kind_.classes;
    for (int64_t k = 0; k < kind_.tables(); k++) {
      const int64_t* const part = parts + k * stride;
      for (int64_t i = 0; i < cells; i++) more.add_cell(k * cells + i, part[i]);
      if (!kind_.by_sample) continue;
      for (int64_t n = 0; n < samples; n++) std::copy_n(part + cells + n * row, row, to + n * row_size() + k * row);
    }
  }
  more.complete_rows();
  return more;
}

void Counts::clear() {
  std::fill(dense_.begin(), dense_.end(), 0);
  sparse_.clear();
  rows_ = {};
  named_.clear();
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
  const int64_t C = kind_.classes, K = C + 1;
  std::fill(to, to + C * C, 0);
  for_each_cell([&](int64_t cell, int64_t count) {
    const int64_t t = cell / K, p = cell % K;
    if (t < C && p < C) to[t * C + p] = static_cast<double>(count);
  });
}

void Counts::write_classes(double* to) const {
  std::vector<int64_t> row(static_cast<size_t>(row_size()));
  for_each_cell([&](int64_t cell, int64_t count) {
    for_each_place(cell, [&](int64_t place) { row[static_cast<size_t>(place)] += count; });
  });
  if (kind_.decision != Decision::threshold) fill_in_true_negatives(kind_.scored(), row.data());
  std::copy(row.begin(), row.end(), to);
}

void Counts::write_rows(double* to) const { std::copy(rows_.begin(), rows_.end(), to); }

bool Counts::looks_one_hot() const {
  const int64_t K = kind_.classes + 1;
  int64_t zeros[2] = {}, ones[2] = {}, others = 0;
  for_each_cell([&](int64_t cell, int64_t count) {
    const int64_t labels[2] = {cell / K, cell % K};
    for (int i = 0; i < 2; i++) (labels[i] == 0 ? zeros[i] : labels[i] == 1 ? ones[i] : others) += count;
  });
  const auto is_one_hot = [&](int i) { return ones[i] > 0 && zeros[i] == ones[i] * (kind_.classes - 1); };
  return others == 0 && is_one_hot(0) && is_one_hot(1);
}

/// One batch under way, to which several threads add.
class Counting {
 public:
  Counting(const CountInputs& inputs, Counts& counts) : inputs_(inputs), counts_(counts) {
    counts.samples_ = inputs.in.samples;
    if (counts.kind_.by_sample) counts.rows_.resize(static_cast<size_t>(inputs.in.samples * counts.row_size()));
  }

  void add(int64_t sample, const RunCounts& run, int64_t first_cell) {
    int64_t* row = counts_.kind_.by_sample ? counts_.rows_.data() + sample * counts_.row_size() : nullptr;
    const bool dense = !counts_.dense_.empty();
    const auto add_cell = [&](int64_t cell, int64_t count) {
      if (dense) add_shared(counts_.dense_[static_cast<size_t>(cell)], count);
      if (row) counts_.for_each_place(cell, [&](int64_t place) { add_shared(row[place], count); });
    };
    if (run.table) {
      for (int64_t i = 0; i < inputs_.cells(); i++) {
        if (run.table[i] != 0) add_cell(first_cell + i, run.table[i]);
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
    counting.add(count_run(run, [&](const RunCounts& piece, int64_t first) { counting.add(run.n, piece, first); }));
  });
  return counting.finish();
}

CountFaults count(const CountInputs& inputs, Counts& counts) {
  return count_runs(inputs, counts, [&](const Run& run, const AddCounts& add) {
    static thread_local Workspace workspace;
    const TrimmedAtEnd trimmed(workspace);
    // The run is in the caches for all thresholds but the first.
    return for_each_threshold(inputs, counts.kind(), [&](const CountInputs& one, int64_t first_cell) {
      RunCounts counted;
      const CountFaults faults = kernels().count(one, run, workspace, counted);
      add(counted, first_cell);
      return faults;
    });
  });
}

}  // namespace warpdice::cpu
