#pragma once
#include "node/async_queue.h"

namespace warpdice {

/// The JavaScript class `Loss`: options read once, then `run` and `runAsync` (see binding.d.ts).
Napi::Function make_loss_class(Napi::Env env, AsyncQueue& async);

}  // namespace warpdice
