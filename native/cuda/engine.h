#pragma once
// The CUDA engine: the three steps of dice.h on device memory. No N-API, no allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/call.h"

namespace warpdice::cuda {

/// A Call whose every pointer is to device memory (those in `in` and `options` too).
struct DeviceCall : Call {
  DType upstream_dtype = DType::float64;  // of `upstream`; float32 too
  Operand device_scale;          // float32 or float64, one number that `scale` is multiplied by; data may be null
  LabelFault* faults = nullptr;  // written where kStatistics is: count 0 when all values are valid; may be null
};

/// Null when enqueue() can do this, on every GPU; else a sentence that says what it cannot.
const char* unsupported(const DeviceCall& call);

/// What enqueue() needs as workspace, aligned to 256 bytes. Depends on shapes and options, not on pointers.
size_t workspace_bytes(const DeviceCall& call);

/// Enqueues kernels and memsets only, so that it can be recorded as nodes of a graph. Invalid labels are no class and
/// are reported in `faults`; the statistics are computed all the same. workspace: read and written until the stream has
/// passed the call. Enqueues nothing where unsupported() says why: cudaErrorNotSupported.
cudaError_t enqueue(const DeviceCall& call, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
