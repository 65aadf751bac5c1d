#pragma once
#include <cuda_runtime.h>

#include "math/types.h"

namespace warpdice::cuda {

/// Enqueues each kernel once that calls on predictions of a float dtype can need: those of losses, metrics and deep
/// supervision. Only for a thread with a recorder, as there is no memory behind them.
cudaError_t enqueue_all_kernels(DType predictions);

}  // namespace warpdice::cuda
