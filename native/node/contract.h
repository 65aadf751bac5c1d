#pragma once
#include <napi.h>

namespace warpdice {

/// What binding.d.ts calls NativeContract: the addon's side of what both sides must agree on, for the test.
Napi::Object make_contract(Napi::Env env);

}  // namespace warpdice
