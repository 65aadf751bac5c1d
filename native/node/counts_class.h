#pragma once
#include <napi.h>

namespace warpdice {

/// The class `Counts` of binding.d.ts.
Napi::Function make_counts_class(Napi::Env env);

}  // namespace warpdice
