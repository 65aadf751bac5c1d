// What Node calls when it loads the addon.
#include "node/addon.h"

static Napi::Object init_warpdice(Napi::Env env, Napi::Object exports) { return warpdice::init(env, exports); }
NODE_API_MODULE(warpdice, init_warpdice)
