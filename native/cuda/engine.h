#pragma once
// The CUDA engine: the three steps of math/types.h on device memory. No N-API, no allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/call.h"

namespace warpdice::cuda {

/// A Call on device memory: every pointer in it is a device pointer, also those in `in` and `options`.
struct DeviceCall : Call {
  DType upstream_dtype = DType::float64;  // of `upstream`: float64 or float32
  DType pairs_dtype = DType::float64;     // of `pairs`: float64, float32 or uint8
  Operand device_scale;                   // a number, float32 or float64, that multiplies `scale`; data may be null
  LabelFault* faults = nullptr;  // written by kStatistics: count is 0 when all target values are valid; may be null
};

/// Null when enqueue() can do this on every GPU; else a sentence that says why it cannot.
const char* unsupported(const DeviceCall& call);

/// The size of the workspace that enqueue() needs, aligned to 256 bytes. It depends on shapes, dtypes and options, not
/// on pointers.
size_t workspace_bytes(const DeviceCall& call);

/// Enqueues kernels only, so that a graph can record it: one for each of the three steps, and one for each operand that
/// must be converted. An invalid label names no class: the statistics
/// are computed without it, and `faults` reports it. The workspace is in use until the stream has passed the call.
/// Enqueues nothing and returns cudaErrorNotSupported where unsupported() is not null.
cudaError_t enqueue(const DeviceCall& call, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
