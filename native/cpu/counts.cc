// Hard metrics on the CPU: the voxels cut into runs and spread over the threads. Integers add up to the same counts in
// any order.
#include "../counts.h"

#include <algorithm>
#include <vector>

#include "kernels.h"
#include "pool.h"

namespace warpdice::cpu {

CountFaults count(const CountInputs& inputs, double* counts) {
  const Inputs& in = inputs.in;
  const int64_t cells = inputs.cells(), per_run = std::max<int64_t>(kRunAlignment, 65536 / in.classes);
  const int64_t run_voxels = (per_run + kRunAlignment - 1) / kRunAlignment * kRunAlignment;
  const int64_t runs_per_sample = (in.voxels + run_voxels - 1) / run_voxels;
  // Kept from call to call, so that an evaluation allocates nothing.
  static thread_local std::vector<int64_t> totals_memory;
  totals_memory.assign(static_cast<size_t>(in.samples * cells), 0);
  int64_t* totals = totals_memory.data();
  std::mutex mutex;
  CountFaults faults;
  const int64_t grain = std::max<int64_t>(1, run_voxels / in.voxels);
  Pool::instance().parallel_for(in.samples * runs_per_sample, grain, [&](int64_t i) {
    static thread_local Workspace workspace;
    const int64_t n = i / runs_per_sample, begin = i % runs_per_sample * run_voxels;
    const Run run = {n, begin, std::min(begin + run_voxels, in.voxels)};
    const CountFaults found = kernels().count(inputs, run, workspace, totals + n * cells);
    workspace.trim();
    if (found.predictions.count + found.target.count == 0) return;
    std::lock_guard<std::mutex> lock(mutex);
    merge(faults.predictions, found.predictions);
    merge(faults.target, found.target);
  });
  if (faults.predictions.count + faults.target.count == 0) std::copy(totals, totals + in.samples * cells, counts);
  return faults;
}

}  // namespace warpdice::cpu
