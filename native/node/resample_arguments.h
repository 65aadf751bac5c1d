#pragma once
#include "math/resample.h"
#include "node/array_argument.h"

namespace warpdice {

/// One call of the function `resampleNearest` of binding.d.ts.
struct BoundResample {
  /// The arguments, in order.
  enum Argument : size_t { kFrom, kElementBytes, kOuter, kFromSizes, kToSizes, kInner, kTo, kArguments };

  Resampling shape;
  Array from, to;

  explicit BoundResample(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);
};

/// The function `resampleNearest` of binding.d.ts.
Napi::Value resample_nearest(const Napi::CallbackInfo& info);

}  // namespace warpdice
