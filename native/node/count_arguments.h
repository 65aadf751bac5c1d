#pragma once
// One call of the function `count` of binding.d.ts. lib/ checks what arguments mean; here only what memory safety needs
// is checked.
#include "math/counts.h"
#include "node/array_argument.h"

namespace warpdice {

struct BoundCount {
  /// The arguments, in order.
  enum Argument : size_t {
    kDecision,
    kThreshold,
    kSamples,
    kClasses,
    kVoxels,
    kChannelsLast,
    kPredictions,
    kPredictionsType,
    kTarget,
    kTargetType,
    kTargetIsLabels,
    kIgnoreIndex,
    kWeight,
    kWeightType,
    kCounts,
    kArguments
  };

  CountInputs inputs;
  Array predictions, target, weight, counts;

  explicit BoundCount(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);

  /// Points the inputs at the arrays' memory.
  void connect();
};

}  // namespace warpdice
