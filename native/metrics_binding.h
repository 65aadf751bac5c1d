#pragma once
#include <napi.h>

namespace warpdice {

/// The function `count` of binding.d.ts.
Napi::Value count_classes(const Napi::CallbackInfo& info);

}  // namespace warpdice
