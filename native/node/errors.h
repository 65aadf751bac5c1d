#pragma once
// The one way from a C++ exception to a JavaScript error.
#include <napi.h>

#include "math/label_fault.h"

namespace warpdice {

/// An Error with a `code`. Like all here it needs no memory but V8's, since memory may be what is missing.
napi_value make_error(napi_env env, const char* code, const char* message) noexcept;

/// The error for the exception that is being handled: of a Napi::Error its own, else one with a code.
napi_value caught_error(napi_env env) noexcept;

/// Thrown, or rejected with, for values out of range; lib/ words the message. argument: "predictions" or "target",
/// which holds them.
Napi::Error label_error(Napi::Env env, const LabelFault& fault, const char* argument);

/// The same for a loss, of whose predictions only probabilities can be faults.
inline Napi::Error label_error(Napi::Env env, const LabelFault& fault) {
  return label_error(env, fault, fault.kind == FaultKind::prediction ? "predictions" : "target");
}

/// Runs `body`. Whatever it throws leaves as a Napi::Error.
template <class Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw Napi::Error(env, caught_error(env));
  }
}

}  // namespace warpdice
