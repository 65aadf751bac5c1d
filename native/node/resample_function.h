#pragma once
#include "math/resample.h"
#include "node/argument_list.h"
#include "node/array_argument.h"

namespace warpdice {

/// The arguments of a resampling: `NativeResampling` of binding.d.ts, in order.
#define WARPDICE_RESAMPLE_ARGUMENTS(X) \
  X(kFrom, from)                       \
  X(kElementBytes, elementBytes)       \
  X(kOuter, outer)                     \
  X(kFromSizes, fromSizes)             \
  X(kToSizes, toSizes)                 \
  X(kInner, inner)                     \
  X(kTo, to)                           \
  X(kStream, stream)

/// One call of the function `resampleNearest` of binding.d.ts.
struct BoundResample {
  enum Argument : size_t { WARPDICE_RESAMPLE_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
  static constexpr const char* kArgumentNames[] = {WARPDICE_RESAMPLE_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

  Resampling shape;
  Array from, to;

  explicit BoundResample(const Napi::CallbackInfo& info, MemoryOf memory = memory_of);
};

/// The function `resampleNearest` of binding.d.ts.
Napi::Value resample_nearest(const Napi::CallbackInfo& info);

}  // namespace warpdice
