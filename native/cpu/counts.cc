// Hard metrics on the CPU: the voxels cut into runs and spread over the threads. Integers add up to the same counts in
// any order.
#include "cpu/counts.h"

#include <algorithm>
#include <vector>

#include "cpu/partition.h"
#include "cpu/pool.h"

namespace warpdice::cpu {

CountFaults count(const CountInputs& inputs, double* counts) {
  const Inputs& in = inputs.in;
  constexpr int64_t kMinElements = 65536;
  const int64_t cells = inputs.cells();
  const Partition partition(in, kMinElements, in.voxels);  // no upper limit on the number of runs
  // The memory is kept from call to call, so that an evaluation allocates nothing.
  static thread_local std::vector<int64_t> totals_memory;
  totals_memory.assign(static_cast<size_t>(in.samples * cells), 0);
  int64_t* totals = totals_memory.data();
  std::mutex mutex;
  CountFaults faults;
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    static thread_local Workspace workspace;
    const Run run = partition.run(in, i);
    const CountFaults found = kernels().count(inputs, run, workspace, totals + run.n * cells);
    workspace.trim();
    if (found.predictions.count + found.target.count == 0) return;
    std::lock_guard<std::mutex> lock(mutex);
    faults.predictions.add(found.predictions);
    faults.target.add(found.target);
  });
  if (faults.predictions.count + faults.target.count == 0) std::copy(totals, totals + in.samples * cells, counts);
  return faults;
}

}  // namespace warpdice::cpu
