// The function `count` of CudaBinding in binding.d.ts. It writes the counts as 64-bit integers, and behind them the
// faults.
#include "cuda/kernels/count.h"
#include "node/count_arguments.h"
#include "node/cuda/classes.h"

namespace warpdice::device {

Napi::Value count_classes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return guarded(env, [&] {
    const auto& stream = to_stream(info, BoundCount::kStream);
    const BoundCount bound(info, memory_of_buffer);
    if (bound.counts.memory.size_bytes < bound.counts.used_bytes + 2 * sizeof(LabelFault)) {
      throw Napi::RangeError::New(env, "Expected room for the faults behind the counts");
    }
    cuda::DeviceCount count;
    static_cast<CountInputs&>(count) = bound.inputs;
    count.counts = static_cast<unsigned long long*>(bound.counts.memory.data);
    count.faults =
        reinterpret_cast<LabelFault*>(static_cast<char*>(bound.counts.memory.data) + bound.counts.used_bytes);
    for (const size_t argument :
         {BoundCount::kPredictions, BoundCount::kTarget, BoundCount::kWeight, BoundCount::kCounts}) {
      if (info[argument].IsUndefined()) continue;
      to_span(info, argument)
          .memory->used_on(stream, argument == BoundCount::kCounts ? cuda::Access::write : cuda::Access::read);
    }
    const auto workspace = cuda::DeviceMemory::allocate(stream, workspace_bytes(count));
    cuda::use_device(stream->device());
    cuda::check(enqueue(count, workspace->data(), stream->handle()), "a kernel launch");
    return env.Undefined();
  });
}

}  // namespace warpdice::device
