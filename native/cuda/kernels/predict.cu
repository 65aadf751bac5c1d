#include "cuda/kernels/predict.h"

#include <algorithm>

#include "cuda/kernels/head.h"

namespace warpdice::cuda {
namespace {

/// The inputs of the kernels: the features alone.
Inputs features_of(const Prediction& prediction) {
  Inputs in;
  in.samples = prediction.call.in.samples;
  in.classes = prediction.call.in.classes;
  in.voxels = prediction.call.in.voxels;
  in.channels_last = prediction.call.in.channels_last;
  in.activation = prediction.call.in.activation;
  in.predictions = prediction.call.in.predictions;
  in.labels = false;
  return in;
}

template <class P>
cudaError_t enqueue_as(const Prediction& prediction, const Inputs& in, const HeadShape& shape, char* base,
                       cudaStream_t stream) {
  const HeadMemory<Accumulator<P>> memory = place_head<Accumulator<P>>(shape, in, base);
  cudaError_t status = launch_pack_head(shape, in, prediction.call.head, memory, false, stream);
  const auto all = static_cast<int64_t>(prediction.classes.size());
  if (status == cudaSuccess && all == 0) {
    const ClassesOut out = {prediction.out, prediction.dtype == DType::uint8, -1};
    return launch_head_classes<P>(shape, in, memory, out, stream);
  }
  for (int64_t first = 0; first < all && status == cudaSuccess; first += ChosenClasses::kMost) {
    ChosenClasses chosen = {};
    chosen.all = all;
    chosen.first = first;
    chosen.count = static_cast<int>(std::min<int64_t>(all - first, ChosenClasses::kMost));
    for (int i = 0; i < chosen.count; i++) {
      chosen.classes[i] = static_cast<uint16_t>(prediction.classes[static_cast<size_t>(first + i)]);
    }
    status = launch_head_probabilities<P>(shape, in, memory, chosen, prediction.out, stream);
  }
  return status;
}

}  // namespace

const char* unsupported(const Prediction& prediction) {
  return head_shape_of(features_of(prediction), prediction.call.head).refused;
}

size_t workspace_bytes(const Prediction& prediction) {
  const Inputs in = features_of(prediction);
  return head_bytes(head_shape_of(in, prediction.call.head), in, false);
}

cudaError_t enqueue(const Prediction& prediction, void* workspace, cudaStream_t stream) {
  const Inputs in = features_of(prediction);
  const HeadShape shape = head_shape_of(in, prediction.call.head);
  if (shape.refused) return cudaErrorNotSupported;
  char* const base = static_cast<char*>(workspace);
  switch (in.predictions.dtype) {
    case DType::float32:
      return enqueue_as<float>(prediction, in, shape, base, stream);
    case DType::float64:
      return enqueue_as<double>(prediction, in, shape, base, stream);
    case DType::float16:
      return enqueue_as<Float16>(prediction, in, shape, base, stream);
    case DType::bfloat16:
      return enqueue_as<BFloat16>(prediction, in, shape, base, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace warpdice::cuda
