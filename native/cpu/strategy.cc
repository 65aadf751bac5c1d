#include "cpu/strategy.h"

#include <algorithm>

namespace warpdice::cpu {
namespace {

/// Whether a mean divides by a number that does not follow from the shape: present classes, or the weight of voxels.
bool divisor_varies(const Call& call) {
  const LossOptions& options = call.options;
  if (options.reduction != Reduction::mean) return false;
  const bool each_voxel_once = !call.in.weighted();
  const bool one_class_each = call.in.labels && !options.class_weights && !options.entropy_weights;
  const bool generalized = options.kind == LossKind::generalized;
  if (options.absent == Absent::skip || (generalized && options.absent != Absent::formula)) return true;
  if (options.focal_factor != 0 && !each_voxel_once) return true;
  return options.cross_entropy_factor != 0 && !(each_voxel_once && (options.sigmoid || one_class_each));
}

/// How many samples fit the cache together with their gradients; may be 0.
int64_t samples_in_cache(const Call& call, int64_t cache_bytes) {
  const Inputs& in = call.in;
  const size_t element_bytes = size_of(in.predictions.dtype) + size_of(call.grad.dtype);
  return cache_bytes / (in.classes * in.voxels * static_cast<int64_t>(element_bytes));
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
  const bool varies = divisor_varies(call), countable = in.labels && !in.weight.data && !in.class_weight.data;
  const int64_t held = samples_in_cache(call, capabilities.cache_bytes);
  const bool fits = in.samples <= held;
  Strategy strategy;
  // The target's gradient needs the final sums, and pooled samples need each other's.
  strategy.fuses_steps =
      computes && differentiates && !(call.steps & kTargetGradient) && !call.options.pooled && (!varies || countable);
  strategy.counts_labels = strategy.fuses_steps && varies;
  strategy.samples_at_once = fits || !strategy.fuses_steps ? in.samples : std::max<int64_t>(1, held / 2);
  strategy.reuses_probabilities =
      strategy.fuses_steps && can_hold_probabilities(call) && (fits || reads_faster_than_computes(call, capabilities));
  const bool in_place = call.grad.data == in.predictions.data;
  strategy.streams = differentiates && !fits && !strategy.reuses_probabilities && !call.grad.accumulate && !in_place;
  return strategy;
}

}  // namespace warpdice::cpu
