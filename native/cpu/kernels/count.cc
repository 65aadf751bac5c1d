// Hard metrics in float and double.
#include "cpu/kernels/count.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// Label maps or masks that are predicted, as the target is checked.
LabelFault check_predictions(const CountInputs& inputs, const Run& run) {
  if (inputs.decision != Decision::labels && !inputs.predicts_masks()) return {};
  Inputs read = inputs.in;
  read.target = read.predictions;
  read.labels = inputs.decision == Decision::labels;
  if (!read.labels) read.has_ignore = false;
  return check_target(read, run);
}

template <class T>
CountFaults count_as(const CountInputs& inputs, const Run& run, Workspace& workspace, RunCounts& counted) {
  // In double, which is rare, all codes are wide.
  if constexpr (sizeof(T) == sizeof(float)) {
    if (inputs.in.classes <= kMaxCompared) return Counter<T, uint8_t>(inputs, run, workspace).count(counted);
  }
  return Counter<T, int32_t>(inputs, run, workspace).count(counted);
}

}  // namespace

CountFaults count(const CountInputs& inputs, const Run& run, Workspace& workspace, RunCounts& counted) {
  const CountFaults faults{check_predictions(inputs, run), check_target(inputs.in, run)};
  if (faults.any()) return faults;
  if (inputs.in.predictions.dtype == DType::float64) return count_as<double>(inputs, run, workspace, counted);
  return count_as<float>(inputs, run, workspace, counted);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
