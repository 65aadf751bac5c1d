// The function `resampleNearest` of CudaBinding in binding.d.ts.
#include "node/resample_function.h"
#include "cuda/kernels/resample.h"
#include "node/cuda/classes.h"

namespace warpdice::device {

/// resampleNearest(...NativeResampling)
Napi::Value resample_on_device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, BoundResample::kStream);
    const BoundResample bound(info, memory_of_buffer);
    if (const char* why = cuda::unsupported(bound.shape)) throw Error("ERR_UNSUPPORTED", why);
    to_span(info, BoundResample::kFrom).memory->used_on(stream, cuda::Access::read);
    to_span(info, BoundResample::kTo).memory->used_on(stream, cuda::Access::write);
    cuda::use_device(stream->device());
    const cudaError_t status =
        cuda::enqueue_resample(bound.shape, bound.from.memory.data, bound.to.memory.data, stream->handle());
    cuda::check(status, "a kernel launch");
    return info.Env().Undefined();
  });
}

}  // namespace warpdice::device
