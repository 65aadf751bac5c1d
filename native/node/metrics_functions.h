#pragma once
#include <napi.h>

namespace warpdice {

/// The functions `count` and `countAsync` of binding.d.ts.
Napi::Value count_classes(const Napi::CallbackInfo& info);
Napi::Value count_classes_async(const Napi::CallbackInfo& info);

}  // namespace warpdice
