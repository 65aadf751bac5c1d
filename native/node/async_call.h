#pragma once
#include "node/call_arguments.h"

namespace warpdice {

/// Starts a call off the event loop and returns its promise.
napi_value start_async(const BoundCall& bound, const Napi::CallbackInfo& info);

}  // namespace warpdice
