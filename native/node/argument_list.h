#pragma once
// The arguments of a function of binding.d.ts, in order. A list is written once, as a macro X(enumerator, name). This
// file makes two things of it: an enum that indexes Napi::CallbackInfo, and the names, which a test compares with lib/.

#define WARPDICE_ARGUMENT(enumerator, name) enumerator,
#define WARPDICE_ARGUMENT_NAME(enumerator, name) #name,
