#pragma once
#include <napi.h>

namespace warpdice {

/// Puts what binding.d.ts promises into the addon's exports, but for devices (node/cuda/classes.h).
void init(Napi::Env env, Napi::Object exports);

}  // namespace warpdice
