#pragma once
#include "cpu/head/predict.h"
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
  X(kOutType, outType)

/// One call of the function `predictLinear` of binding.d.ts.
struct BoundPrediction {
  enum Argument : size_t { WARPDICE_PREDICTION_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
  static constexpr const char* kArgumentNames[] = {WARPDICE_PREDICTION_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

  cpu::head::Prediction prediction;

  explicit BoundPrediction(const Napi::CallbackInfo& info);
};

/// The function `predictLinear` of binding.d.ts.
Napi::Value predict_linear(const Napi::CallbackInfo& info);

}  // namespace warpdice
