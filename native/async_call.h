#pragma once
#include "bound_call.h"

namespace warpdice {

/// Starts a call off the event loop and returns its promise.
napi_value start_async(const BoundCall& bound, const Napi::CallbackInfo& info);

/// Thrown, or rejected with, for a target with invalid values; lib/ words the message.
Napi::Error label_error(Napi::Env env, const LabelFault& fault);

}  // namespace warpdice
