#include "cpu/strategy.h"

#include <algorithm>

namespace warpdice::cpu {
namespace {

/// Whether a mean divides by a number that does not follow from the shape: present classes, or the weight of voxels. A
/// value divides by the weights at its end, but a gradient needs them before.
bool divisor_varies(const Call& call, bool differentiates) {
  const LossOptions& options = call.options;
  if (options.reduction != Reduction::mean) return false;
  const bool each_voxel_once = !call.in.weighted();
  const bool one_class_each = call.in.labels && !options.class_weights && !options.entropy_weights;
  const bool generalized = options.kind == LossKind::generalized;
  if (call.pairs) return true;
  if (options.absent == Absent::skip || (generalized && options.absent != Absent::formula)) return true;
  if (!differentiates) return false;
  if (options.focal_factor != 0 && !each_voxel_once) return true;
  return options.cross_entropy_factor != 0 && !(each_voxel_once && (options.sigmoid || one_class_each));
}

/// How many samples fit the cache together with their gradients; may be 0.
int64_t samples_in_cache(const Call& call, int64_t cache_bytes) {
  const Inputs& in = call.in;
  const size_t element_bytes = size_of(in.predictions.dtype) + size_of(call.grad.dtype);
  return cache_bytes / (in.classes * in.voxels * static_cast<int64_t>(element_bytes));
}

/// How many samples' sums fit in sums_bytes; at least one.
int64_t samples_in_memory(const Call& call, bool differentiates, int64_t sums_bytes) {
  const int64_t slopes = differentiates && !call.options.pooled ? sizeof(Coefficients) : 0;
  const int64_t sample_bytes = call.in.classes * (static_cast<int64_t>(sizeof(Sums)) + slopes);
  return std::clamp<int64_t>(sums_bytes / sample_bytes, 1, call.steps & kStatistics ? call.in.samples : call.groups());
}

/// Whether step 1 may find values that are no probabilities. Then nothing may be written before it has seen all.
bool checks_values(const Inputs& in) {
  return in.activation == Activation::none || (!in.labels && in.target.dtype < DType::uint8);
}

/// Whether the gradient's memory can hold the probabilities between steps 1 and 3. It must have the dtype of the
/// computation, and no content that is still needed.
bool can_hold_probabilities(const Call& call) {
  const Inputs& in = call.in;
  const DType computed = in.predictions.dtype == DType::float64 ? DType::float64 : DType::float32;
  return in.plain() && in.activation != Activation::none && call.grad.dtype == computed && !call.grad.accumulate;
}

/// Whether a call larger than the cache should keep its probabilities for step 3. Measured on a Zen 5: with vectors of
/// 16 bytes this always saves time (a third); with 32 bytes when one sample exceeds the cache and its classes are not
/// interleaved (a tenth); with 64 bytes never.
bool reads_faster_than_computes(const Call& call, const Capabilities& capabilities) {
  if (capabilities.vector_bytes < 32) return true;
  const bool sample_exceeds_cache = samples_in_cache(call, capabilities.cache_bytes) == 0;
  return capabilities.vector_bytes < 64 && sample_exceeds_cache && !call.in.interleaved();
}

}  // namespace

Strategy choose_strategy(const Call& call, const Capabilities& capabilities) {
  const Inputs& in = call.in;
  const bool computes = call.steps & kStatistics, differentiates = call.steps & kGradient;
  const bool any_gradient = call.steps & (kGradient | kTargetGradient), pooled = call.options.pooled;
  const bool varies = divisor_varies(call, any_gradient);
  const bool countable = in.labels && !in.weight.data && !in.class_weight.data;
  const int64_t cached = samples_in_cache(call, capabilities.cache_bytes);
  const bool fits = in.samples <= cached;
  Strategy strategy;
  strategy.samples_held = samples_in_memory(call, any_gradient, capabilities.sums_bytes);
  const bool holds_few = computes && strategy.samples_held < in.samples;
  const bool knowable = !pooled && (!varies || countable), needs_totals = call.steps != kStatistics;
  // The target's gradient needs the final sums, and pooled samples need each other's.
  strategy.fuses_steps = computes && differentiates && !(call.steps & kTargetGradient) && knowable;
  strategy.sums_twice = holds_few && !pooled && ((needs_totals && !knowable) || checks_values(in));
  strategy.knows_totals = knowable && !strategy.sums_twice && (strategy.fuses_steps || holds_few);
  strategy.counts_labels = strategy.knows_totals && needs_totals && varies;
  strategy.samples_at_once = fits || !strategy.fuses_steps ? in.samples : std::max<int64_t>(1, cached / 2);
  if (computes) strategy.samples_at_once = std::min(strategy.samples_at_once, strategy.samples_held);
  strategy.reuses_probabilities =
      strategy.fuses_steps && can_hold_probabilities(call) && (fits || reads_faster_than_computes(call, capabilities));
  const bool in_place = call.grad.data == in.predictions.data;
  strategy.streams = differentiates && !fits && !strategy.reuses_probabilities && !call.grad.accumulate && !in_place;
  return strategy;
}

}  // namespace warpdice::cpu
