#pragma once
#include <napi.h>

namespace warpdice {

/// Returns NativeContract of binding.d.ts: the addon's names and numbers, which a test compares with those of lib/.
Napi::Object make_contract(Napi::Env env);

}  // namespace warpdice
