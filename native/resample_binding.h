#pragma once
#include <napi.h>

namespace warpdice {

/// The function `resampleNearest` of binding.d.ts.
Napi::Value resample_nearest(const Napi::CallbackInfo& info);

}  // namespace warpdice
