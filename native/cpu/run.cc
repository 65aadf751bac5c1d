// The order of the steps, chosen by what the caches hold.
//
// A small call does each step on the whole batch, and step 1 keeps what step 3 needs where the gradient goes.
// A large one takes a few samples at a time through all steps while their predictions are in the caches, and
// writes the gradient around them: reading kept values back would cost more than computing them again (but with
// narrow vectors, where the computing costs more).
// A loss whose samples depend on each other (pooled, or divided by what all samples have) needs the sums of all
// before the first gradient, unless the divisor is known beforehand: from the shape, or by counting the labels.
#include "cpu/engine.h"
#include "math/call.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace warpdice {
namespace {

static_assert(kSumCount == 8, "lib/calls/statistics.ts names eight sums");

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
    for (int64_t c = 0; c < classes; c++) {
      add(sums[c], sums[n * classes + c]);
    }
  }
}

/// Whether the mean divides by what the shape does not tell.
bool divisor_varies(const Call& call) {
  const LossOptions& options = call.options;
  if (options.reduction != Reduction::mean) return false;
  const bool each_voxel_once = !call.in.weight.data && !call.in.has_ignore;
  const bool one_class_each = call.in.labels && !options.class_weights;
  const bool generalized = options.kind == LossKind::generalized;
  if (options.absent == Absent::skip || (generalized && options.absent != Absent::formula)) return true;
  if (options.focal_factor != 0 && !each_voxel_once) return true;
  return options.cross_entropy_factor != 0 && !(each_voxel_once && (options.sigmoid || one_class_each));
}

/// The divisors of a call from its shape, each voxel in one class; or from counts [N,C+1] of labels.
GroupTotals expected_total(const Call& call, const int64_t* counts) {
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

}  // namespace

LabelFault run(const Call& call) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes, groups = call.groups();
  const bool computes = call.steps & kStatistics, differentiates = call.steps & kGradient;
  const bool for_target = call.steps & kTargetGradient;
  const bool varies = divisor_varies(call), countable = in.labels && !in.weight.data;
  const bool interleaves = computes && differentiates && !for_target && !call.options.pooled && (!varies || countable);
  // Kept from call to call, so that a training step allocates nothing.
  static thread_local std::vector<Sums> sums;
  static thread_local std::vector<Coefficients> coefficients;
  static thread_local std::vector<int64_t> counts;
  sums.resize(static_cast<size_t>(computes ? N * C : groups * C));
  coefficients.resize(static_cast<size_t>(groups * C));

  GradientOut out = call.grad;
  const int64_t cached = cpu::samples_in_cache(in, out);
  out.streaming = N > cached && !(interleaves && cpu::better_kept(in, out));
  const auto finalize_gradient = [&](const GroupTotals& total, int64_t first, int64_t last) {
    finalize_coefficients(call.options, C, sums.data(), total, call.scale, call.upstream, coefficients.data(), first,
                          last);
  };

  if (computes) {
    const bool counted = interleaves && varies;
    counts.resize(static_cast<size_t>(counted ? N * (C + 1) : 0));
    const LabelFault faults = cpu::check_target(in, counted ? counts.data() : nullptr);
    if (faults.count > 0) return faults;
    const GroupTotals expected = interleaves ? expected_total(call, counted ? counts.data() : nullptr) : GroupTotals{};
    const int64_t at_once = N <= cached ? N : std::max<int64_t>(1, cached / 2);
    for (int64_t n = 0; n < N; n += at_once) {
      const int64_t count = std::min(at_once, N - n);
      const Inputs part = slice(in, n, count);
      const GradientOut place = slice(out, in, n);
      const bool keep = interleaves && !out.streaming && cpu::can_keep(part, place);
      cpu::statistics(part, sums.data() + n * C, keep ? &place : nullptr);
      if (!interleaves) continue;
      finalize_gradient(expected, n, n + count);
      cpu::gradient(part, coefficients.data() + n * C, false, place, keep);
    }
    if (call.options.pooled) pool_over_batch(N, C, sums.data());
    if (call.statistics) std::memcpy(call.statistics, sums.data(), static_cast<size_t>(groups * C) * sizeof(Sums));
  } else {
    std::memcpy(sums.data(), call.statistics, static_cast<size_t>(groups * C) * sizeof(Sums));
  }
  if (call.steps & kFinalize) {
    finalize_value(call.options, groups, C, sums.data(), call.value, call.parts, call.per_class);
  }
  if ((differentiates || for_target) && !interleaves) {
    const bool pooled = call.options.pooled;
    const int64_t first = pooled ? 0 : call.sample_offset, last = pooled ? 1 : first + N;
    finalize_gradient(totals_of_all(call.options, groups, C, sums.data()), first, last);
    // The target's first: the other may replace the predictions.
    if (for_target) cpu::target_gradient(in, coefficients.data() + first * C, pooled, call.target_grad);
    if (differentiates) cpu::gradient(in, coefficients.data() + first * C, pooled, out);
  }
  return {};
}

}  // namespace warpdice
