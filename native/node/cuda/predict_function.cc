// The function `predictLinear` of CudaBinding in binding.d.ts.
#include "node/predict_function.h"
#include "cuda/kernels/predict.h"
#include "node/cuda/classes.h"

namespace warpdice::device {

/// predictLinear(...NativePrediction)
Napi::Value predict_on_device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, BoundPrediction::kStream);
    const BoundPrediction bound(info, memory_of_buffer);
    const Prediction& prediction = bound.prediction;
    if (const char* why = cuda::unsupported(prediction)) throw Error("ERR_UNSUPPORTED", why);
    for (const size_t argument :
         {BoundPrediction::kFeatures, BoundPrediction::kHeadWeight, BoundPrediction::kHeadBias}) {
      if (!info[argument].IsUndefined()) to_span(info, argument).memory->used_on(stream, cuda::Access::read);
    }
    Span& out = to_span(info, BoundPrediction::kOut);
    out.memory->used_on(stream, cuda::Access::write);
    const auto workspace = cuda::DeviceMemory::allocate(stream, cuda::workspace_bytes(prediction));
    cuda::use_device(stream->device());
    cuda::check(cuda::enqueue(prediction, workspace->data(), stream->handle()), "a kernel launch");
    out.origin = {};
    return info.Env().Undefined();
  });
}

}  // namespace warpdice::device
