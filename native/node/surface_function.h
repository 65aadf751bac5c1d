#pragma once
#include "node/async_queue.h"

namespace warpdice {

/// The function `measureSurfaces` of binding.d.ts.
Napi::Value measure_surfaces(const Napi::CallbackInfo& info);

/// The function `measureSurfacesAsync`; its data is the AsyncQueue.
Napi::Value measure_surfaces_async(const Napi::CallbackInfo& info);

}  // namespace warpdice
