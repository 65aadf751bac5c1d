#pragma once
// The values that a function of binding.d.ts takes, in order. A list is written once, as a macro X(enumerator, name);
// here it becomes an enum, whose enumerators index Napi::CallbackInfo, and the names that a test compares with lib/.

#define WARPDICE_ARGUMENT(enumerator, name) enumerator,
#define WARPDICE_ARGUMENT_NAME(enumerator, name) #name,
