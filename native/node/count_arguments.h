#pragma once
// One call of the function `count` of binding.d.ts. lib/ checks the meaning of arguments; this file checks only what
// memory safety needs.
#include "math/call.h"
#include "math/counts.h"
#include "node/argument_list.h"
#include "node/array_argument.h"
#include "node/list_arguments.h"

namespace warpdice {

/// The arguments of a count: `NativeCount` of binding.d.ts, in order.
#define WARPDICE_COUNT_ARGUMENTS(X)    \
  X(kDecision, decision)               \
  X(kThreshold, threshold)             \
  X(kSamples, samples)                 \
  X(kClasses, classes)                 \
  X(kVoxels, voxels)                   \
  X(kChannelsLast, channelsLast)       \
  X(kPredictions, predictions)         \
  X(kPredictionsType, predictionsType) \
  X(kTarget, target)                   \
  X(kTargetType, targetType)           \
  X(kTargetIsLabels, targetIsLabels)   \
  X(kIgnoreIndex, ignoreIndex)         \
  X(kWeight, weight)                   \
  X(kWeightType, weightType)           \
  X(kWeightOfClasses, weightOfClasses) \
  X(kMayBeOneHot, mayBeOneHot)         \
  X(kBySample, bySample)               \
  X(kCounts, counts)                   \
  X(kStream, stream)                   \
  X(kChannels, channels)               \
  X(kHeadWeight, headWeight)           \
  X(kHeadBias, headBias)               \
  X(kHeadType, headType)               \
  X(kNames, names)

struct BoundCount {
  enum Argument : size_t { WARPDICE_COUNT_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
  static constexpr const char* kArgumentNames[] = {WARPDICE_COUNT_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

  /// With more classes the index of a pair of classes would not fit in 63 bits.
  static constexpr int64_t kMaxClasses = int64_t{1} << 20;

  CountInputs inputs;
  bool may_be_one_hot = false;
  Head head;
  Array predictions, target, weight, head_weight, head_bias;
  std::vector<std::string> names;  // of the samples, or none

  explicit BoundCount(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);

  /// Points the inputs at the arrays' memory.
  void connect();

 private:
  void check_head(Napi::Env env, bool maps, DType dtype);
  Operand& weight_operand() { return weight_of_classes_ ? inputs.in.class_weight : inputs.in.weight; }

  bool weight_of_classes_ = false;
  IgnoredLabels ignored_;
};

}  // namespace warpdice
