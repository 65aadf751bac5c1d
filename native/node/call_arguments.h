#pragma once
// One call of the class `Loss` of binding.d.ts, with its arrays. lib/ checks the meaning of arguments; this file checks
// only what memory safety needs: types, byte lengths, overlaps.
#include <array>
#include <memory>
#include <vector>

#include "math/call.h"
#include "node/argument_list.h"
#include "node/array_argument.h"
#include "node/list_arguments.h"

namespace warpdice {

/// The arguments of a call of a loss: `NativeCall` of binding.d.ts, in order.
#define WARPDICE_CALL_ARGUMENTS(X)         \
  X(kSteps, steps)                         \
  X(kSamples, samples)                     \
  X(kClasses, classes)                     \
  X(kVoxels, voxels)                       \
  X(kPredictions, predictions)             \
  X(kPredictionsType, predictionsType)     \
  X(kTarget, target)                       \
  X(kTargetType, targetType)               \
  X(kTargetIsLabels, targetIsLabels)       \
  X(kWeight, weight)                       \
  X(kWeightType, weightType)               \
  X(kWeightOfClasses, weightOfClasses)     \
  X(kStatisticsArray, statistics)          \
  X(kStatisticsSamples, statisticsSamples) \
  X(kSampleOffset, sampleOffset)           \
  X(kUpstream, upstream)                   \
  X(kUpstreamType, upstreamType)           \
  X(kPairs, pairs)                         \
  X(kPairsType, pairsType)                 \
  X(kScale, scale)                         \
  X(kScaleBuffer, scaleBuffer)             \
  X(kScaleType, scaleType)                 \
  X(kValue, value)                         \
  X(kPerClass, perClass)                   \
  X(kParts, parts)                         \
  X(kGrad, grad)                           \
  X(kGradType, gradType)                   \
  X(kTargetGrad, targetGrad)               \
  X(kAccumulate, accumulate)               \
  X(kStream, stream)                       \
  X(kChannels, channels)                   \
  X(kHeadWeight, headWeight)               \
  X(kHeadBias, headBias)                   \
  X(kHeadType, headType)                   \
  X(kHeadWeightGrad, headWeightGrad)       \
  X(kHeadBiasGrad, headBiasGrad)           \
  X(kHeadGradType, headGradType)           \
  X(kAccumulateWeight, accumulateWeight)   \
  X(kAccumulateBias, accumulateBias)       \
  X(kSizes, sizes)                         \
  X(kSpacing, spacing)
enum Argument : size_t { WARPDICE_CALL_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
constexpr const char* kArgumentNames[] = {WARPDICE_CALL_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

/// The typed arrays among them, inputs first.
enum ArrayName : size_t {
  aPredictions,
  aTarget,
  aWeight,
  aHeadWeight,
  aHeadBias,
  aStatistics,
  aUpstream,
  aPairs,
  aValue,
  aPerClass,
  aGrad,
  aParts,
  aTargetGrad,
  aHeadWeightGrad,
  aHeadBiasGrad,
  aCount
};
constexpr std::array<Argument, aCount> kArrayArguments = {
    kPredictions, kTarget,   kWeight, kHeadWeight, kHeadBias,   kStatisticsArray, kUpstream,    kPairs,
    kValue,       kPerClass, kGrad,   kParts,      kTargetGrad, kHeadWeightGrad,  kHeadBiasGrad};
constexpr std::array<const char*, aCount> kArrayNames = {
    "predictions",      "target",          "weight",       "predictions.weight",
    "predictions.bias", "statistics",      "upstream",     "sampleClassWeight",
    "out.value",        "out.perClass",    "out.grad",     "out.parts",
    "out.targetGrad",   "out.grad.weight", "out.grad.bias"};

/// The options of a Loss, read once when it is made.
struct LossSetup {
  LossOptions options;
  Inputs in;  // its flags; no shape, no arrays
  bool reproducible = false;
  IgnoredLabels ignored;
  std::vector<double> class_weights, entropy_weights, positive_weight, focal_alpha, distances;

  LossSetup(Napi::Env env, const Napi::Object& from);

  cpu::direct::Setup direct;  // without an image
};

struct BoundCall {
  Call call;
  std::array<Array, aCount> arrays;
  std::shared_ptr<const LossSetup> setup;  // owns what call.options and call.in point at
  cpu::Grid image;                         // of one sample, where setup->direct knows where voxels lie

  /// The call that `info` asks for, checked.
  BoundCall(std::shared_ptr<const LossSetup> loss, const Napi::CallbackInfo& info, MemoryOf memory = memory_of,
            DType upstream = DType::float64, DType pairs = DType::float64);

  /// Whether the call writes the array.
  bool writes(size_t array) const { return array >= aValue || (array == aStatistics && (call.steps & kStatistics)); }

  /// Whether a written array is also read, because the result is added to it.
  bool accumulates(size_t array) const;

  /// Points the call at the arrays' memory.
  void connect();

 private:
  void read_arguments(const Napi::CallbackInfo& info);
  void read_head(const Napi::CallbackInfo& info);
  std::array<size_t, aCount> needed_bytes(const Napi::CallbackInfo& info, DType upstream, DType pairs) const;
  Operand& weight() { return weight_of_classes_ ? call.in.class_weight : call.in.weight; }
  DType dtype_of(size_t array, DType upstream, DType pairs) const;
  void check_types(Napi::Env env) const;
  void check_overlaps(Napi::Env env) const;
  const char* name_of(size_t array) const;

  bool weight_of_classes_ = false, has_pairs_ = false;
};

}  // namespace warpdice
