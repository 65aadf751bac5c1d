#pragma once
// How a call is cut into runs for the threads: by its shape alone, so that any number of threads gives the same bits.
#include <algorithm>

#include "cpu/kernels/kernels.h"

namespace warpdice::cpu {

struct Partition {
  int64_t runs_per_sample, run_voxels, runs;
  int64_t grain;  // runs that a thread takes at a time

  /// least_elements: a smaller run is not worth handing to another thread. most_runs: per sample.
  Partition(const Inputs& in, int64_t least_elements, int64_t most_runs) {
    const int64_t least_voxels = std::max<int64_t>(1, least_elements / in.classes);
    run_voxels = std::max(least_voxels, (in.voxels + most_runs - 1) / most_runs);
    run_voxels = (run_voxels + kRunAlignment - 1) / kRunAlignment * kRunAlignment;
    runs_per_sample = (in.voxels + run_voxels - 1) / run_voxels;
    runs = runs_per_sample * in.samples;
    const int64_t elements = std::min(run_voxels, in.voxels) * in.classes;
    grain = std::max<int64_t>(1, least_elements / elements);
  }

  Run run(const Inputs& in, int64_t i) const {
    const int64_t begin = i % runs_per_sample * run_voxels;
    return {i / runs_per_sample, begin, std::min(begin + run_voxels, in.voxels)};
  }
};

}  // namespace warpdice::cpu
