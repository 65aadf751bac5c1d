// Hard metrics in float and double.
#include "cpu/kernels/count.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

template <class T>
void count_as(const CountInputs& inputs, const Run& run, Workspace& workspace, int64_t* counts) {
  if (inputs.in.classes <= kMaxCompared) Counter<T, uint8_t>(inputs, run, workspace).count(counts);
  else Counter<T, int32_t>(inputs, run, workspace).count(counts);
}

}  // namespace

CountFaults count(const CountInputs& inputs, const Run& run, Workspace& workspace, int64_t* counts) {
  CountFaults faults;
  if (inputs.decision == Decision::labels) {
    Inputs maps = inputs.in;
    maps.target = maps.predictions;
    faults.predictions = check_target(maps, run);
  }
  faults.target = check_target(inputs.in, run);
  if (faults.predictions.count + faults.target.count > 0) return faults;
  if (inputs.in.predictions.dtype == DType::float64) count_as<double>(inputs, run, workspace, counts);
  else count_as<float>(inputs, run, workspace, counts);
  return faults;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
