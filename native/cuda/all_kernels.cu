#include "cuda/all_kernels.h"

#include "cuda/engine.h"
#include "cuda/kernels/agree.h"
#include "cuda/kernels/count.h"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/predict.h"
#include "cuda/kernels/resample.h"
#include "cuda/kernels/weighted_sum.h"

namespace warpdice::cuda {
namespace {

/// An address that nothing reads.
char nowhere[1];

cudaError_t launch_all_of(DType predictions) {
  switch (predictions) {
    case DType::float64:
      return launch_all<double>();
    case DType::float16:
      return launch_all<Float16>();
    case DType::bfloat16:
      return launch_all<BFloat16>();
    default:
      return launch_all<float>();
  }
}

/// One voxel of one class.
Inputs one_voxel(DType predictions, DType target) {
  Inputs in;
  in.samples = in.classes = in.voxels = 1;
  in.labels = target >= DType::uint8;
  in.predictions = {nowhere, predictions};
  in.target = {nowhere, target};
  return in;
}

/// Losses that have kernels of their own: the mean Dice, alone or with a cross-entropy; another loss, of labels of
/// which some are ignored.
enum class Sort { dice, dice_with_entropy, other };

/// The kernels between those of launch_all(), and those that prepare a target of this dtype.
cudaError_t enqueue_loss(DType predictions, DType target, Sort sort) {
  static constexpr int64_t other = 1;
  DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in = one_voxel(predictions, target);
  if (sort == Sort::dice_with_entropy) {
    call.options.cross_entropy_factor = 1;
    call.in.cross_entropy = true;
    call.in.activation = Activation::softmax;
  } else if (sort == Sort::other) {
    call.options.kind = LossKind::jaccard;
    call.in.has_ignore = true;
    call.in.more_ignored = &other;
    call.in.more_ignored_count = 1;
  }
  return enqueue(call, nowhere, nullptr);
}

/// The kernels of a head: those of the commonest calls, or the others.
cudaError_t enqueue_head(DType features, bool plain) {
  DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  if (!plain) call.steps |= kTargetGradient;
  call.in = one_voxel(features, plain ? DType::uint8 : features);
  call.in.activation = plain ? Activation::softmax : Activation::sigmoid;
  call.head.channels = 1;
  call.head.weight = {nowhere, DType::float32};
  return enqueue(call, nowhere, nullptr);
}

/// The classes that a head predicts, or their probabilities.
cudaError_t enqueue_prediction(DType features, bool probabilities) {
  Prediction prediction;
  prediction.call.in = one_voxel(features, DType::uint8);
  prediction.call.in.activation = Activation::softmax;
  prediction.call.head.channels = 1;
  prediction.call.head.weight = {nowhere, DType::float32};
  if (probabilities) prediction.classes = {0};
  return enqueue(prediction, nowhere, nullptr);
}

cudaError_t enqueue_count(DType predictions, Decision decision, bool with_head) {
  DeviceCount count;
  count.in = one_voxel(predictions, DType::uint8);
  count.decision = decision;
  count.head.channels = with_head ? 1 : 0;
  count.head.weight = {nowhere, DType::float32};
  return enqueue(count, nowhere, nullptr);
}

cudaError_t enqueue_resampling(size_t element_bytes) {
  Resampling shape;
  shape.from_sizes = shape.to_sizes = {1};
  shape.element_bytes = element_bytes;
  return enqueue_resample(shape, nowhere, nowhere, nullptr);
}

}  // namespace

cudaError_t enqueue_all_kernels(DType predictions) {
  cudaError_t status = launch_all_of(predictions);
  for (const DType target : {DType::uint8, DType::int16, DType::uint16, DType::int32, DType::int64, DType::float32,
                             DType::float64, DType::float16, DType::bfloat16}) {
    for (const Sort sort : {Sort::dice, Sort::dice_with_entropy, Sort::other}) {
      if (status == cudaSuccess) status = enqueue_loss(predictions, target, sort);
    }
  }
  for (const bool plain : {false, true}) {
    if (status == cudaSuccess) status = enqueue_head(predictions, plain);
  }
  for (const bool probabilities : {false, true}) {
    if (status == cudaSuccess) status = enqueue_prediction(predictions, probabilities);
  }
  for (const Decision decision : {Decision::argmax, Decision::threshold}) {
    for (const bool with_head : {false, true}) {
      if (status == cudaSuccess) status = enqueue_count(predictions, decision, with_head);
    }
  }
  for (const size_t bytes : {size_t{1}, size_t{2}, size_t{4}, size_t{8}}) {
    if (status == cudaSuccess) status = enqueue_resampling(bytes);
  }
  if (status == cudaSuccess) status = enqueue_header({}, Frame("", 0), nullptr);
  if (status == cudaSuccess) status = enqueue_agree({}, 1, nullptr, nullptr);
  return status == cudaSuccess ? enqueue_add_weighted({}, nullptr) : status;
}

}  // namespace warpdice::cuda
