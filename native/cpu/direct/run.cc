#include "cpu/direct/run.h"

#include <algorithm>
#include <vector>

#include "cpu/direct/lovasz.h"
#include "cpu/engine.h"
#include "cpu/pool.h"

namespace warpdice::cpu::direct {
namespace {

/// Whether a class is part of the value.
bool counts(const Call& call, int64_t c, const ClassLoss& loss) {
  if (c == 0 && !call.options.background) return false;
  return loss.present || call.options.absent == Absent::formula;
}

/// dvalue/dloss of the classes of a group, and the group's share of the value.
double reduce(const Call& call, int64_t g, const std::vector<ClassLoss>& losses, double* factors) {
  const auto C = static_cast<int64_t>(losses.size());
  int64_t counted = 0;
  for (int64_t c = 0; c < C; c++) counted += counts(call, c, losses[static_cast<size_t>(c)]);
  double value = 0;
  for (int64_t c = 0; c < C; c++) {
    const ClassLoss& one = losses[static_cast<size_t>(c)];
    const bool is_counted = counts(call, c, one);
    double factor = 1;
    if (call.options.reduction == Reduction::mean) {
      factor = 1 / static_cast<double>(std::max<int64_t>(counted, 1)) / static_cast<double>(call.groups());
    } else if (call.options.reduction == Reduction::none) {
      factor = call.upstream ? call.upstream[g * C + c] : 1;
      call.value[g * C + c] = is_counted ? one.loss : 0;
    }
    factors[c] = is_counted ? factor * call.scale : 0;
    if (is_counted) value += factor * one.loss;
    if (call.per_class) call.per_class[g * C + c] = one.loss;
  }
  return value;
}

}  // namespace

LabelFault run(const Call& call, Kind kind) {
  const Inputs& in = call.in;
  LabelFault faults = check_target(in);
  if (faults.count > 0) return faults;
  const int64_t C = in.classes, samples = call.options.pooled ? in.samples : 1;
  const bool hinge = kind == Kind::lovasz_hinge, differentiates = call.steps & kGradient;
  double value = 0;
  for (int64_t g = 0; g < call.groups(); g++) {
    Group group(call, g * samples, samples);
    faults = group.read(!hinge && in.activation == Activation::none);
    if (faults.count > 0) return faults;
    if (differentiates) group.clear_slopes();
    std::vector<ClassLoss> losses(static_cast<size_t>(C));
    Pool::instance().parallel_for(C, 1, [&](int64_t c) {
      losses[static_cast<size_t>(c)] = lovasz(group, c, hinge, differentiates ? group.slopes(c) : nullptr);
    });
    std::vector<double> factors(static_cast<size_t>(C));
    value += reduce(call, g, losses, factors.data());
    if (differentiates) group.write_gradient(factors.data());
  }
  if (call.options.reduction != Reduction::none) call.value[0] = value;
  return {};
}

}  // namespace warpdice::cpu::direct
