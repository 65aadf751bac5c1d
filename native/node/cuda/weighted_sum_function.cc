// The function `addWeighted` of CudaBinding in binding.d.ts.
#include "cuda/kernels/weighted_sum.h"
#include "node/cuda/classes.h"

namespace warpdice::device {

/// addWeighted(sum, value, weight, first, stream)
Napi::Value add_weighted(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    enum Argument : size_t { kSum, kValue, kWeight, kFirst, kStream };
    const auto& stream = to_stream(info, kStream);
    Span &sum = to_span(info, kSum), &value = to_span(info, kValue);
    if (sum.size_bytes != value.size_bytes) throw Napi::RangeError::New(info.Env(), "Expected as many values as sums");
    for (const void* data : {sum.data(), value.data()}) {
      if (reinterpret_cast<uintptr_t>(data) % sizeof(double) == 0) continue;
      throw Napi::RangeError::New(info.Env(), "Expected memory that begins at a multiple of 8 bytes");
    }
    cuda::WeightedTerm term;
    term.first = info[kFirst].ToBoolean();
    if (!term.first && !sum.origin.faults)
      throw Napi::TypeError::New(info.Env(), "Expected a sum that a first term began");
    // The sum has faults of its own: all results of a call share those of a value.
    const auto faults = term.first ? cuda::DeviceMemory::allocate(stream, sizeof(LabelFault)) : sum.origin.faults;
    for (const auto& written : {sum.memory, faults}) written->used_on(stream, cuda::Access::write);
    for (const auto& memory : {value.memory, value.origin.faults}) {
      if (memory) memory->used_on(stream, cuda::Access::read);
    }
    term.weight = info[kWeight].As<Napi::Number>().DoubleValue();
    term.count = static_cast<int64_t>(sum.size_bytes / sizeof(double));
    term.value = reinterpret_cast<const double*>(value.data());
    term.sum = reinterpret_cast<double*>(sum.data());
    if (value.origin.faults) term.fault = static_cast<const LabelFault*>(value.origin.faults->data());
    term.first_fault = static_cast<LabelFault*>(faults->data());
    cuda::use_device(stream->device());
    cuda::check(cuda::enqueue_add_weighted(term, stream->handle()), "a kernel launch");
    sum.origin = {faults, value.origin.ranks ? value.origin.ranks : term.first ? nullptr : sum.origin.ranks};
    return info.Env().Undefined();
  });
}

}  // namespace warpdice::device
