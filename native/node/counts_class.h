#pragma once
#include "node/async_queue.h"

namespace warpdice {

/// The class `Counts` of binding.d.ts.
Napi::Function make_counts_class(Napi::Env env, AsyncQueue& async);

}  // namespace warpdice
