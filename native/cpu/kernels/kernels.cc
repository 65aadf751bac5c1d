// The function table of one SIMD target. Its functions choose the type to compute with, float or double.
#include "cpu/kernels/kernels.h"

#include "cpu/kernels/check_labels.h"
#include "cpu/kernels/count_labels.h"
#include "cpu/kernels/kernel_run.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// In count.cc.
CountFaults count(const CountInputs& inputs, const Run& run, Workspace& workspace, RunCounts& counted);

/// In log_sums.cc.
void log_sums(const LogSums& all);

/// In product.cc.
extern const Products<float> products;
extern const Products<double> products64;

namespace {

/// Calls visit(KernelRun).
template <class Visit>
void with_run(const Inputs& in, const Run& run, Workspace& workspace, bool every_term, Visit visit) {
  if (in.predictions.dtype == DType::float64) {
    KernelRun<double> kernel_run(in, run, workspace, every_term);
    return visit(kernel_run);
  }
  KernelRun<float> kernel_run(in, run, workspace, every_term);
  visit(kernel_run);
}

LabelFault statistics(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums, const GradientOut* keep) {
  LabelFault faults;
  with_run(in, run, workspace, !in.plain(), [&](auto& kernel_run) {
    if (kernel_run.statistics(sums, keep)) faults = kernel_run.find_outside_unit();
  });
  return faults;
}

void gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
              const GradientOut& out, bool kept) {
  with_run(in, run, workspace, !in.plain(), [&](auto& kernel_run) { kernel_run.gradient(coefficients, out, kept); });
}

void target_gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
                     const GradientOut& out) {
  with_run(in, run, workspace, true, [&](auto& kernel_run) { kernel_run.target_gradient(coefficients, out); });
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
#define WARPDICE_STRING(name) #name
#define WARPDICE_NAME(name) WARPDICE_STRING(name)
    WARPDICE_NAME(WARPDICE_TARGET),
    kVectorBytes,
    check_target,
    count_labels,
    statistics,
    gradient,
    target_gradient,
    count,
    &products,
    &products64,
    log_sums};

}  // namespace warpdice::cpu::WARPDICE_TARGET
