#pragma once
// Hard metrics on device memory: the counts of ../counts.h. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/counts.h"

namespace warpdice::cuda {

/// Operands are device memory.
struct DeviceCount : CountInputs {
  unsigned long long* counts = nullptr;  // [N * cells()], written; no use when there are faults
  LabelFault* faults = nullptr;          // [2], written: of the predictions, when they are labels, and of the target
};

/// What enqueue() needs as workspace, aligned to 256 bytes.
size_t workspace_bytes(const DeviceCount& count);

/// Enqueues kernels and memsets only.
cudaError_t enqueue(const DeviceCount& count, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
