// The steps: each is cut into runs of voxels, which the threads share.
//
// The runs depend on the shape alone, and their sums are added in order: the same bits on any number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu/engine.h"
#include "cpu/memory/workspace.h"
#include "cpu/partition.h"
#include "cpu/parts.h"
#include "cpu/pool.h"

namespace warpdice::cpu {

namespace {

Workspace& workspace() {
  static thread_local Workspace memory;
  return memory;
}

constexpr int64_t kMinElements = 32768;

/// Partitions by the shape of one sample and not by N, because a call may be done in groups of samples (run.cc).
Partition partition_of(const Inputs& in) {
  constexpr int64_t kMaxRuns = 256;       // per sample: enough for large machines
  constexpr int64_t kMaxPartials = 8192;  // per sample: half a megabyte of sums
  return {in, kMinElements, std::clamp<int64_t>(kMaxPartials / in.classes, 16, kMaxRuns)};
}

/// Runs whose length follows from C alone. lib/calls/reproducible.ts knows it too.
Partition fixed_partition_of(const Inputs& in) { return {in, kMinElements, int64_t{1} << 40}; }

/// To a multiple of 2^-20: such numbers add up exactly while their sum is below 2^33.
double rounded(double sum) {
  constexpr double kUnits = 1 << 20;
  return std::nearbyint(sum * kUnits) / kUnits;
}

void round(Sums* sums, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    Sums& s = sums[i];
    s = {rounded(s.intersection), rounded(s.prediction),    rounded(s.target),  rounded(s.volume),
         rounded(s.weight),       rounded(s.cross_entropy), rounded(s.uniform), rounded(s.focal)};
  }
}

/// More samples' partial sums than fit here are made one group of samples after the other.
constexpr int64_t kPartialBytes = int64_t{16} << 20;

/// Step 1 of the samples [first, first + count): writes the sums of each of their runs.
LabelFault compute_runs(const Inputs& in, const Partition& partition, int64_t first, int64_t count, Sums* sums,
                        const GradientOut* probabilities) {
  const int64_t runs = partition.runs_per_sample;
  std::mutex mutex;
  LabelFault faults;
  Pool::instance().parallel_for(count * runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(in, first * runs + i);
    const LabelFault fault = kernels().statistics(in, run, workspace(), sums + i * in.classes, probabilities);
    workspace().trim();
    if (fault.count == 0) return;
    std::lock_guard<std::mutex> lock(mutex);
    faults.add(fault);
  });
  return faults;
}

/// total[c] = the sum of runs[r][c] over r, in order.
void add_runs(const Sums* of_runs, int64_t runs, int64_t classes, Sums* total) {
  for (int64_t c = 0; c < classes; c++) {
    Sums sum = {};
    for (int64_t r = 0; r < runs; r++) add(sum, of_runs[r * classes + c]);
    total[c] = sum;
  }
}

}  // namespace

LabelFault check_target(const Inputs& in, int64_t* counts) {
  if (!in.labels && in.target.dtype != DType::uint8) return {};  // floats are checked in step 1
  const Partition partition = partition_of(in);
  const int64_t per_sample = in.classes + 1;
  if (counts) std::fill(counts, counts + in.samples * per_sample, 0);
  std::mutex mutex;
  LabelFault faults;
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(in, i);
    const LabelFault fault = kernels().check_target(in, run);
    int64_t* of_run = nullptr;
    if (counts) {
      of_run = static_cast<int64_t*>(workspace().reserve(per_sample * sizeof(int64_t)));
      std::fill(of_run, of_run + per_sample, 0);
      kernels().count_labels(in, run, of_run);
    }
    const TrimmedAtEnd trimmed(workspace());
    if (fault.count == 0 && !counts) return;
    std::lock_guard<std::mutex> lock(mutex);
    faults.add(fault);
    for (int64_t c = 0; c < per_sample && counts; c++) counts[run.n * per_sample + c] += of_run[c];
  });
  return faults;
}

LabelFault statistics(const Inputs& in, Sums* sums, const GradientOut* probabilities, bool reproducible) {
  const Partition partition = reproducible ? fixed_partition_of(in) : partition_of(in);
  const int64_t N = in.samples, C = in.classes, runs = partition.runs_per_sample;
  if (runs == 1) {
    const LabelFault faults = compute_runs(in, partition, 0, N, sums, probabilities);  // its sums are the sample's
    if (reproducible) round(sums, N * C);
    return faults;
  }
  // One partial per run, for so many samples at a time that they fit in kPartialBytes.
  const int64_t bytes_per_sample = runs * C * static_cast<int64_t>(sizeof(Sums));
  const int64_t at_once = std::clamp<int64_t>(kPartialBytes / bytes_per_sample, 1, N);
  static thread_local Workspace memory;
  const TrimmedAtEnd trimmed(memory);
  Sums* partials = static_cast<Sums*>(memory.reserve(static_cast<size_t>(at_once * bytes_per_sample)));
  LabelFault faults;
  for (int64_t first = 0; first < N; first += at_once) {
    const int64_t count = std::min(at_once, N - first);
    faults.add(compute_runs(in, partition, first, count, partials, probabilities));
    if (reproducible) round(partials, count * runs * C);
    for (int64_t n = 0; n < count; n++) add_runs(partials + n * runs * C, runs, C, sums + (first + n) * C);
  }
  return faults;
}

void gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out,
              bool reuses_probabilities) {
  const Partition partition = partition_of(in);
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    // From the end: what step 1 read last may still be in the cache.
    const Run run = partition.run(in, partition.runs - 1 - i);
    kernels().gradient(in, run, workspace(), coefficients + (pooled ? 0 : run.n * in.classes), out,
                       reuses_probabilities);
    workspace().trim();
  });
}

void target_gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out) {
  const Partition partition = partition_of(in);
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(in, i);
    kernels().target_gradient(in, run, workspace(), coefficients + (pooled ? 0 : run.n * in.classes), out);
    workspace().trim();
  });
}

void copy(void* to, const void* from, size_t size_bytes) {
  for_parts(size_bytes, [&](size_t at, size_t bytes) {
    std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, bytes);
  });
}

int threads() { return Pool::instance().threads(); }
void set_threads(int count) { Pool::instance().set_threads(count); }

}  // namespace warpdice::cpu
