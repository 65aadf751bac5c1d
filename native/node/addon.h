#pragma once
#include <napi.h>

namespace warpdice {

/// Adds the exports of binding.d.ts to the addon, except those for devices (node/cuda/classes.h).
void init(Napi::Env env, Napi::Object exports);

}  // namespace warpdice
