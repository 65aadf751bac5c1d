#include "cpu/run.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "cpu/engine.h"
#include "cpu/kernels/kernels.h"

namespace warpdice::cpu {
namespace {

static_assert(kSumCount == 8, "lib/calls/statistics.ts names eight sums");

/// Memory that is kept from call to call, so that a training step allocates nothing.
struct Memory {
  std::vector<Sums> sums;                  // [N,C], or [groups,C] where they are given
  std::vector<Coefficients> coefficients;  // [groups,C]
  std::vector<int64_t> counts;             // [N,C+1]
};

thread_local Strategy last;
thread_local bool has_run = false;

/// `operand` from element `first` on.
Operand from_element(const Operand& operand, int64_t first) {
  if (!operand.data) return operand;
  return {static_cast<const char*>(operand.data) + first * static_cast<int64_t>(size_of(operand.dtype)), operand.dtype};
}

/// Samples [n, n + count).
Inputs slice(const Inputs& in, int64_t n, int64_t count) {
  const int64_t per_sample = in.classes * in.voxels;
  Inputs part = in;
  part.samples = count;
  part.predictions = from_element(in.predictions, n * per_sample);
  part.target = from_element(in.target, n * (in.labels ? in.voxels : per_sample));
  part.weight = from_element(in.weight, n * in.voxels);
  return part;
}

GradientOut slice(const GradientOut& out, const Inputs& in, int64_t n) {
  GradientOut part = out;
  part.data = static_cast<char*>(out.data) + n * in.classes * in.voxels * static_cast<int64_t>(size_of(out.dtype));
  return part;
}

/// [N,C] to [C], in the order of the samples.
void pool_over_batch(int64_t samples, int64_t classes, Sums* sums) {
  for (int64_t n = 1; n < samples; n++) {
    for (int64_t c = 0; c < classes; c++) add(sums[c], sums[n * classes + c]);
  }
}

/// The divisors of a call's means, known before step 1: from its shape when every voxel has one class, else from the
/// counts [N,C+1] of its labels.
GroupTotals expected_totals(const Call& call, const int64_t* counts) {
  const int64_t C = call.in.classes;
  GroupTotals total = {};
  for (int64_t n = 0; n < call.in.samples; n++) {
    const int64_t* of_sample = counts ? counts + n * (C + 1) : nullptr;
    GroupTotals group = {};
    for (int64_t c = 0; c < C; c++) {
      Sums sums = {};
      sums.weight = static_cast<double>(call.in.voxels - (counts ? of_sample[C] : 0));
      sums.volume = counts ? static_cast<double>(of_sample[c]) : c == 0 ? sums.weight : 0;
      add_class(call.options, C, c, sums, group);
    }
    add_group(call.options, total, group);
  }
  return total;
}

/// Computes the coefficients of the groups [first, last), for a gradient.
void make_coefficients(const Call& call, const GroupTotals& total, int64_t first, int64_t last, Memory& memory) {
  finalize_coefficients(call.options, call.in.classes, memory.sums.data(), total, call.scale, call.upstream,
                        memory.coefficients.data(), first, last);
}

/// Steps 1 and 3, a few samples at a time.
void run_fused(const Call& call, const Strategy& strategy, const GradientOut& out, Memory& memory) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes;
  const GroupTotals total = expected_totals(call, strategy.counts_labels ? memory.counts.data() : nullptr);
  for (int64_t n = 0; n < N; n += strategy.samples_at_once) {
    const int64_t count = std::min(strategy.samples_at_once, N - n);
    const Inputs part = slice(in, n, count);
    const GradientOut place = slice(out, in, n);
    statistics(part, memory.sums.data() + n * C, strategy.reuses_probabilities ? &place : nullptr);
    make_coefficients(call, total, n, n + count, memory);
    gradient(part, memory.coefficients.data() + n * C, false, place, strategy.reuses_probabilities);
  }
}

/// Step 3 of the whole batch, for the predictions and for the target.
void run_gradients(const Call& call, const GradientOut& out, Memory& memory) {
  const Inputs& in = call.in;
  const bool pooled = call.options.pooled;
  const int64_t first = pooled ? 0 : call.sample_offset, last = pooled ? 1 : first + in.samples;
  const GroupTotals total = totals_of_all(call.options, call.groups(), in.classes, memory.sums.data());
  make_coefficients(call, total, first, last, memory);
  const Coefficients* coefficients = memory.coefficients.data() + first * in.classes;
  // The target's gradient comes first, because the other one may replace the predictions.
  if (call.steps & kTargetGradient) target_gradient(in, coefficients, pooled, call.target_grad);
  if (call.steps & kGradient) gradient(in, coefficients, pooled, out);
}

}  // namespace

LabelFault run(const Call& call) {
  Capabilities capabilities;
  capabilities.vector_bytes = kernels().vector_bytes;
  return run(call, capabilities);
}

LabelFault run(const Call& call, const Capabilities& capabilities) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes, groups = call.groups();
  const Strategy strategy = choose_strategy(call, capabilities);
  last = strategy;
  has_run = true;
  static thread_local Memory memory;
  const bool computes = call.steps & kStatistics;
  memory.sums.resize(static_cast<size_t>(computes ? N * C : groups * C));
  memory.coefficients.resize(static_cast<size_t>(groups * C));
  memory.counts.resize(static_cast<size_t>(strategy.counts_labels ? N * (C + 1) : 0));
  const size_t statistics_bytes = static_cast<size_t>(groups * C) * sizeof(Sums);
  GradientOut out = call.grad;
  out.streaming = strategy.streams;

  if (computes) {
    const LabelFault faults = check_target(in, strategy.counts_labels ? memory.counts.data() : nullptr);
    if (faults.count > 0) return faults;
    if (strategy.fuses_steps) run_fused(call, strategy, out, memory);
    else statistics(in, memory.sums.data());
    if (call.options.pooled) pool_over_batch(N, C, memory.sums.data());
    if (call.statistics) std::memcpy(call.statistics, memory.sums.data(), statistics_bytes);
  } else {
    std::memcpy(memory.sums.data(), call.statistics, statistics_bytes);
  }
  if (call.steps & kFinalize) {
    finalize_value(call.options, groups, C, memory.sums.data(), call.value, call.parts, call.per_class);
  }
  if (call.steps & (kGradient | kTargetGradient) && !strategy.fuses_steps) run_gradients(call, out, memory);
  return {};
}

const Strategy* last_strategy() { return has_run ? &last : nullptr; }

}  // namespace warpdice::cpu
