#include "cpu/direct/run.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/direct/boundary.h"
#include "cpu/direct/cldice.h"
#include "cpu/direct/hausdorff.h"
#include "cpu/direct/lovasz.h"
#include "cpu/direct/top_k.h"
#include "cpu/engine.h"
#include "cpu/pool.h"

namespace warpdice::cpu::direct {
namespace {

ClassLoss loss_of(const Call& call, const Setup& setup, const Group& group, int64_t c, double* slopes) {
  switch (setup.kind) {
    case Kind::boundary:
      return boundary(group, setup.image, c, slopes);
    case Kind::hausdorff:
      return hausdorff(group, setup.image, c, call.options.alpha, slopes);
    case Kind::cldice:
      return cldice(group, setup, c, call.options, slopes);
    default:
      return lovasz(group, c, setup.kind == Kind::lovasz_hinge, slopes);
  }
}

std::vector<ClassLoss> losses_of(const Call& call, const Setup& setup, Group& group) {
  const int64_t C = call.in.classes;
  std::vector<ClassLoss> losses(static_cast<size_t>(C));
  if (call.steps & kGradient) group.clear_slopes();
  const auto solve = [&](int64_t c) {
    const bool differentiates = call.steps & kGradient && (c > 0 || call.options.background);
    losses[static_cast<size_t>(c)] = loss_of(call, setup, group, c, differentiates ? group.slopes(c) : nullptr);
  };
  if (is_spatial(setup.kind) && setup.image.voxels() >= kLargeImage) {
    for (int64_t c = 0; c < C; c++) solve(c);
  } else {
    Pool::instance().parallel_for(C, 1, solve);
  }
  return losses;
}

/// Whether a class is part of the value.
bool counts(const Call& call, int64_t c, const ClassLoss& loss) {
  if (c == 0 && !call.options.background) return false;
  return loss.present || call.options.absent == Absent::formula;
}

bool is_log(const Call& call) { return call.options.transform == Transform::log; }

/// dvalue/dloss of the classes of a group, and the group's share of the value. A logarithm of the whole value is not in
/// it yet.
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
      factor = (call.upstream ? call.upstream[g * C + c] : 1) / (is_log(call) ? 1 + one.loss : 1);
      call.value[g * C + c] = is_counted ? (is_log(call) ? std::log1p(one.loss) : one.loss) : 0;
    }
    factors[c] = is_counted ? factor * call.scale : 0;
    if (is_counted) value += factor * one.loss;
    if (call.per_class) call.per_class[g * C + c] = one.loss;
  }
  return value;
}

/// A group has one loss; options.alpha is the percentage.
void run_top_k(const Call& call, int64_t samples) {
  const bool is_one = call.options.reduction != Reduction::none;
  const double share = call.options.reduction == Reduction::mean ? 1 / static_cast<double>(call.groups()) : 1;
  double value = 0;
  for (int64_t g = 0; g < call.groups(); g++) {
    Group group(call, g * samples, samples);
    const double upstream = call.upstream ? call.upstream[g] : 1;
    double* per_class = call.per_class ? call.per_class + g * call.in.classes : nullptr;
    const double own = top_k(call, group, share * call.scale * (is_one ? 1 : upstream), per_class);
    value += share * own;
    if (!is_one) call.value[g] = own;
  }
  if (is_one) call.value[0] = value;
}

}  // namespace

LabelFault run(const Call& call, const Setup& setup) {
  const Inputs& in = call.in;
  LabelFault faults = check_target(in);
  if (faults.count > 0) return faults;
  const auto C = static_cast<size_t>(in.classes);
  const int64_t samples = call.options.pooled ? in.samples : 1;
  if (setup.kind == Kind::top_k) {
    run_top_k(call, samples);
    return {};
  }
  const bool probabilities = setup.kind != Kind::lovasz_hinge && in.activation == Activation::none;
  const bool differentiates = call.steps & kGradient, is_one = call.options.reduction != Reduction::none;
  std::vector<double> factors(static_cast<size_t>(call.groups()) * C);
  std::vector<Group> waiting;  // for the logarithm of the value, whose slope is a factor of every gradient
  double value = 0;
  for (int64_t g = 0; g < call.groups(); g++) {
    Group group(call, g * samples, samples);
    faults = group.read(probabilities);
    if (faults.count > 0) return faults;
    double* own = factors.data() + static_cast<size_t>(g) * C;
    value += reduce(call, g, losses_of(call, setup, group), own);
    if (!differentiates) continue;
    if (is_one && is_log(call)) waiting.push_back(std::move(group));
    else group.write_gradient(own);
  }
  for (double& factor : factors) factor /= waiting.empty() ? 1 : 1 + value;
  for (size_t g = 0; g < waiting.size(); g++) waiting[g].write_gradient(factors.data() + g * C);
  if (is_one) call.value[0] = is_log(call) ? std::log1p(value) : value;
  return {};
}

}  // namespace warpdice::cpu::direct
