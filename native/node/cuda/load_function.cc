// The function `loadKernels` of CudaBinding in binding.d.ts.
#include "cuda/all_kernels.h"
#include "cuda/runtime/loader.h"
#include "node/codes.h"
#include "node/cuda/classes.h"

namespace warpdice::device {
namespace {

class LoadWork : public AsyncWork {
 public:
  LoadWork(int device, DType predictions) : device_(device), predictions_(predictions) {}

 private:
  void compute() override {
    cuda::load_kernels(device_, [this] { return cuda::enqueue_all_kernels(predictions_); });
  }
  void deliver(Napi::Env /*env*/) override {}

  const int device_;
  const DType predictions_;
};

}  // namespace

/// loadKernels(device, dtype)
Napi::Value load_kernels(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return guarded(env, [&] {
    const int device = info[0].As<Napi::Number>().Int32Value();
    const DType predictions = to_dtype(env, info[1]);
    auto& queue = *static_cast<AsyncQueue*>(info.Data());
    return Napi::Value(env, queue.start([&] { return std::make_unique<LoadWork>(device, predictions); }));
  });
}

}  // namespace warpdice::device
