// What Node calls when it loads the addon: the only file that knows whether there is CUDA.
#include "node/addon.h"
#include "platform/keep_loaded.h"

#ifdef WARPDICE_CUDA
#include "node/cuda/classes.h"
#endif

static Napi::Object init_warpdice(Napi::Env env, Napi::Object exports) {
  warpdice::keep_loaded();
  [[maybe_unused]] warpdice::AsyncQueue& queue = warpdice::init(env, exports);
#ifdef WARPDICE_CUDA
  warpdice::device::export_devices(env, exports, queue);
#endif
  return exports;
}
NODE_API_MODULE(warpdice, init_warpdice)
