#pragma once
// One call of the function `count` of binding.d.ts. lib/ checks what arguments mean; here only what memory safety needs
// is checked.
#include "counts.h"
#include "napi_util.h"

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

  struct Array {
    Memory memory;  // data is null when absent
    size_t used_bytes = 0;
  };

  /// What an argument's array is: memory of the host, or of a device.
  using MemoryOf = Memory (*)(Napi::Env env, napi_value array, const char* name);

  CountInputs inputs;
  Array predictions, target, weight, counts;

  explicit BoundCount(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);

  /// Points the inputs at the arrays' memory.
  void connect();
};

}  // namespace warpdice
