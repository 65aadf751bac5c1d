#pragma once
#include "math/prediction.h"
#include "node/argument_list.h"
#include "node/array_argument.h"

namespace warpdice {

/// The arguments of a prediction: `NativePrediction` of binding.d.ts, in order.
#define WARPDICE_PREDICTION_ARGUMENTS(X) \
  X(kSamples, samples)                   \
  X(kClasses, classes)                   \
  X(kVoxels, voxels)                     \
  X(kChannels, channels)                 \
  X(kChannelsLast, channelsLast)         \
  X(kFeatures, features)                 \
  X(kFeaturesType, featuresType)         \
  X(kHeadWeight, headWeight)             \
  X(kHeadBias, headBias)                 \
  X(kHeadType, headType)                 \
  X(kActivation, activation)             \
  X(kChosen, chosen)                     \
  X(kOut, out)                           \
  X(kOutType, outType)                   \
  X(kStream, stream)

/// One call of the function `predictLinear` of binding.d.ts.
struct BoundPrediction {
  enum Argument : size_t { WARPDICE_PREDICTION_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
  static constexpr const char* kArgumentNames[] = {WARPDICE_PREDICTION_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

  Prediction prediction;
  Array features, weight, bias, out;

  explicit BoundPrediction(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);

  /// Points the prediction at the arrays' memory.
  void connect();
};

/// The functions `predictLinear` and `predictLinearAsync` of binding.d.ts; the second one's data is the AsyncQueue.
Napi::Value predict_linear(const Napi::CallbackInfo& info);
Napi::Value predict_linear_async(const Napi::CallbackInfo& info);

}  // namespace warpdice
