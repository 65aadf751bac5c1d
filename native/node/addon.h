#pragma once
#include <napi.h>

namespace warpdice {

/// Puts what binding.d.ts promises into the addon's exports.
Napi::Object init(Napi::Env env, Napi::Object exports);

/// Adds what needs CUDA. node/cuda/exports.cc defines it, in builds with CUDA.
namespace device {
void export_devices(Napi::Env env, Napi::Object exports);
}

}  // namespace warpdice
