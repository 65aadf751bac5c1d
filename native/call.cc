#include "call.h"

#include <cstring>
#include <vector>

namespace warpdice {
namespace {

static_assert(sizeof(Sums) == 3 * sizeof(double), "statistics are arrays of I, P, T in JavaScript");

/// [N,C] to [C], in the order of the samples.
void pool_over_batch(int64_t samples, int64_t classes, Sums* sums) {
  for (int64_t n = 1; n < samples; n++) {
    for (int64_t c = 0; c < classes; c++) {
      sums[c].intersection += sums[n * classes + c].intersection;
      sums[c].prediction += sums[n * classes + c].prediction;
      sums[c].target += sums[n * classes + c].target;
    }
  }
}

}  // namespace

LabelFault run(const Call& call) {
  const int64_t N = call.in.samples, C = call.in.classes, groups = call.groups();
  // Kept from call to call, so that a training step allocates nothing.
  static thread_local std::vector<Sums> sums;
  static thread_local std::vector<Coefficients> coefficients;

  const bool fused = (call.steps & kStatistics) && (call.steps & kGradient) && cpu::keeps(call.in, call.grad);
  if (call.steps & kStatistics) {
    const LabelFault faults = cpu::check_target(call.in);
    if (faults.count > 0) return faults;
    sums.resize(static_cast<size_t>(N * C));
    cpu::statistics(call.in, sums.data(), fused ? &call.grad : nullptr);
    if (call.options.pooled) pool_over_batch(N, C, sums.data());
    if (call.statistics) std::memcpy(call.statistics, sums.data(), static_cast<size_t>(groups * C) * sizeof(Sums));
  } else {
    sums.resize(static_cast<size_t>(groups * C));
    std::memcpy(sums.data(), call.statistics, static_cast<size_t>(groups * C) * sizeof(Sums));
  }
  if (call.steps & kFinalize) finalize_value(call.options, groups, C, sums.data(), call.value, call.per_class);
  if (call.steps & kGradient) {
    coefficients.resize(static_cast<size_t>(groups * C));
    finalize_coefficients(call.options, groups, C, sums.data(), call.scale, call.upstream, coefficients.data());
    cpu::gradient(call.in, coefficients.data(), call.options.pooled, call.grad, fused);
  }
  return {};
}

}  // namespace warpdice
