#pragma once
// Nearest resampling on device memory, for targets of predictions at several scales. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/resample.h"

namespace warpdice::cuda {

/// Null when enqueue_resample() can do this; else a sentence that says why it cannot.
const char* unsupported(const Resampling& shape);

/// Does cpu::resample_nearest() on device memory.
cudaError_t enqueue_resample(const Resampling& shape, const void* from, void* to, cudaStream_t stream);

}  // namespace warpdice::cuda
