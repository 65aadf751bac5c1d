#pragma once
#include "node/async_queue.h"

namespace warpdice {

/// Adds the exports of binding.d.ts to the addon, except those for devices (node/cuda/classes.h). Returns the queue
/// that the environment's calls off the event loop share.
AsyncQueue& init(Napi::Env env, Napi::Object exports);

}  // namespace warpdice
