#include "cpu/run.h"

#include <algorithm>
#include <cstring>

#include "cpu/engine.h"
#include "cpu/kernels/kernels.h"
#include "cpu/memory/workspace.h"

namespace warpdice::cpu {
namespace {

static_assert(kSumCount == 8, "lib/calls/statistics.ts names eight sums");

/// A thread's memory between the steps. Kept from call to call, so that a training step allocates nothing, unless it is
/// large.
class Memory {
 public:
  Sums* sums = nullptr;                  // [N,C], or [groups,C] where they are given
  Coefficients* coefficients = nullptr;  // [groups,C]
  int64_t* counts = nullptr;             // [N,C+1]

  Memory(int64_t sums_count, int64_t coefficients_count, int64_t counts_count) {
    sums = take<Sums>(kept_[0], sums_count);
    coefficients = take<Coefficients>(kept_[1], coefficients_count);
    counts = take<int64_t>(kept_[2], counts_count);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (Workspace& workspace : kept_) workspace.trim();
  }

 private:
  template <class Element>
  static Element* take(Workspace& workspace, int64_t count) {
    return count == 0 ? nullptr
                      : static_cast<Element*>(workspace.reserve(static_cast<size_t>(count) * sizeof(Element)));
  }

  static thread_local Workspace kept_[3];
};

thread_local Workspace Memory::kept_[3];

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
  part.class_weight = from_element(in.class_weight, n * per_sample);
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
  finalize_coefficients(call.options, call.in.classes, memory.sums, total, call.scale, call.upstream,
                        memory.coefficients, first, last);
}

/// Steps 1 and 3, a few samples at a time, up to samples with invalid values.
LabelFault run_fused(const Call& call, const Strategy& strategy, const GradientOut& out, Memory& memory) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes;
  const GroupTotals total = expected_totals(call, memory.counts);
  for (int64_t n = 0; n < N; n += strategy.samples_at_once) {
    const int64_t count = std::min(strategy.samples_at_once, N - n);
    const Inputs part = slice(in, n, count);
    const GradientOut place = slice(out, in, n);
    const GradientOut* keep = strategy.reuses_probabilities ? &place : nullptr;
    LabelFault faults = statistics(part, memory.sums + n * C, keep, call.reproducible);
    if (faults.count > 0) {
      faults.first_index += n * C * in.voxels;
      return faults;
    }
    make_coefficients(call, total, n, n + count, memory);
    gradient(part, memory.coefficients + n * C, false, place, strategy.reuses_probabilities);
  }
  return {};
}

/// Step 3 of the whole batch, for the predictions and for the target.
void run_gradients(const Call& call, const GradientOut& out, Memory& memory) {
  const Inputs& in = call.in;
  const bool pooled = call.options.pooled;
  const int64_t first = pooled ? 0 : call.sample_offset, last = pooled ? 1 : first + in.samples;
  const GroupTotals total = totals_of_all(call.options, call.groups(), in.classes, memory.sums);
  make_coefficients(call, total, first, last, memory);
  const Coefficients* coefficients = memory.coefficients + first * in.classes;
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
  const bool computes = call.steps & kStatistics, differentiates = call.steps & (kGradient | kTargetGradient);
  Memory memory(computes ? N * C : groups * C, differentiates ? groups * C : 0,
                strategy.counts_labels ? N * (C + 1) : 0);
  const size_t statistics_bytes = static_cast<size_t>(groups * C) * sizeof(Sums);
  GradientOut out = call.grad;
  out.streaming = strategy.streams;

  if (computes) {
    LabelFault faults = check_target(in, memory.counts);
    if (faults.count > 0) return faults;
    faults = strategy.fuses_steps ? run_fused(call, strategy, out, memory)
                                  : statistics(in, memory.sums, nullptr, call.reproducible);
    if (faults.count > 0) return faults;
    if (call.options.pooled) pool_over_batch(N, C, memory.sums);
    if (call.statistics) std::memcpy(call.statistics, memory.sums, statistics_bytes);
  } else {
    std::memcpy(memory.sums, call.statistics, statistics_bytes);
  }
  if (call.steps & kFinalize) {
    finalize_value(call.options, groups, C, memory.sums, call.value, call.parts, call.per_class);
  }
  if (differentiates && !strategy.fuses_steps) run_gradients(call, out, memory);
  return {};
}

const Strategy* last_strategy() { return has_run ? &last : nullptr; }

}  // namespace warpdice::cpu
