// The functions `resampleNearest` and `addWeighted` of CudaBinding in binding.d.ts.
#include "cuda/kernels/resample.h"
#include "node/cuda/classes.h"
#include "node/resample_arguments.h"

namespace warpdice::device {
namespace {

Span& to_span(const Napi::CallbackInfo& info, size_t argument) {
  return unwrap<BufferObject>(info.Env(), info[argument], "an array").span();
}

}  // namespace

/// resampleNearest(...NativeResampling)
Napi::Value resample_on_device(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, BoundResample::kStream);
    const BoundResample bound(info, memory_of_buffer);
    if (const char* why = cuda::unsupported(bound.shape)) throw Error("ERR_UNSUPPORTED", why);
    to_span(info, BoundResample::kFrom).memory->used_on(stream);
    to_span(info, BoundResample::kTo).memory->used_on(stream);
    cuda::use_device(stream->device());
    const cudaError_t status =
        cuda::enqueue_resample(bound.shape, bound.from.memory.data, bound.to.memory.data, stream->handle());
    cuda::check(status, "a kernel launch");
    return info.Env().Undefined();
  });
}

/// addWeighted(sum, value, weight, first, stream)
Napi::Value add_weighted(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    enum Argument : size_t { kSum, kValue, kWeight, kFirst, kStream };
    const auto& stream = to_stream(info, kStream);
    Span &sum = to_span(info, kSum), &value = to_span(info, kValue);
    if (sum.size_bytes != value.size_bytes) throw Napi::RangeError::New(info.Env(), "Expected as many values as sums");
    cuda::WeightedTerm term;
    term.first = info[kFirst].ToBoolean();
    if (!term.first && !sum.faults) throw Napi::TypeError::New(info.Env(), "Expected a sum that a first term began");
    // Its own: those of a value are shared by all results of a call.
    const auto faults = term.first ? cuda::DeviceMemory::allocate(stream, sizeof(LabelFault)) : sum.faults;
    for (const auto& memory : {sum.memory, value.memory, value.faults, faults}) {
      if (memory) memory->used_on(stream);
    }
    term.weight = info[kWeight].As<Napi::Number>().DoubleValue();
    term.count = static_cast<int64_t>(sum.size_bytes / sizeof(double));
    term.value = reinterpret_cast<const double*>(value.data());
    term.sum = reinterpret_cast<double*>(sum.data());
    if (value.faults) term.fault = static_cast<const LabelFault*>(value.faults->data());
    term.first_fault = static_cast<LabelFault*>(faults->data());
    cuda::use_device(stream->device());
    cuda::check(cuda::enqueue_add(term, stream->handle()), "a kernel launch");
    sum.faults = faults;
    return info.Env().Undefined();
  });
}

}  // namespace warpdice::device
