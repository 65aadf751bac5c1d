#pragma once
#include <memory>

#include "node/async_queue.h"
#include "node/call_arguments.h"

namespace warpdice {

/// The call as work for the queue.
std::unique_ptr<AsyncWork> make_async_call(AsyncQueue& queue, const BoundCall& bound, const Napi::CallbackInfo& info);

}  // namespace warpdice
