// The function `count` of CudaBinding in binding.d.ts. It writes the cells, the rows and the faults one after the
// other.
#include "cuda/kernels/count.h"
#include "node/count_arguments.h"
#include "node/cuda/classes.h"

namespace warpdice::device {

Napi::Value count_classes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return guarded(env, [&] {
    const auto& stream = to_stream(info, BoundCount::kStream);
    const BoundCount bound(info, memory_of_buffer);
    cuda::DeviceCount count;
    static_cast<CountInputs&>(count) = bound.inputs;
    count.head = bound.head;
    if (count.predicts_masks() && count.in.predictions.dtype != DType::uint8) {
      throw Napi::TypeError::New(env, "Expected masks of uint8 for predictions");
    }
    if (const char* why = cuda::unsupported(count)) throw Error("ERR_UNSUPPORTED", why);
    const size_t cells = bytes_of(env, {count.cells()}, sizeof *count.counts);
    const size_t rows =
        count.by_sample ? bytes_of(env, {count.in.samples, count.in.classes, 4}, sizeof *count.rows) : 0;
    const Array counts = bind_array(env, info[BoundCount::kCounts], "counts", DType::int64,
                                    cells + rows + 2 * sizeof(LabelFault), memory_of_buffer);
    char* place = static_cast<char*>(counts.memory.data);
    count.counts = reinterpret_cast<unsigned long long*>(place);
    count.rows = reinterpret_cast<unsigned long long*>(place + cells);
    count.faults = reinterpret_cast<LabelFault*>(place + cells + rows);
    for (const size_t argument : {BoundCount::kPredictions, BoundCount::kTarget, BoundCount::kWeight,
                                  BoundCount::kHeadWeight, BoundCount::kHeadBias, BoundCount::kCounts}) {
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
