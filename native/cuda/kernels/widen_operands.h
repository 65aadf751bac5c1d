#pragma once
// Beside the predictions the kernels read a dense target and a weight, in uint8, float32 or the predictions' dtype.
// Operands of another dtype are converted to float32 first, once per call. That is exact, except for float64 beside
// predictions of another dtype, which is rounded, as in the CPU engine. Labels of 16 bits are converted to int32. Of a
// target with several labels to ignore there is a copy with one, because that is what the kernels know.
#include <cuda_runtime.h>

#include "math/types.h"

namespace warpdice::cuda {

/// The size of the workspace that widen_operands() needs, aligned to 256 bytes.
size_t widened_bytes(const Inputs& in);

/// Enqueues the conversions, and changes `in` so that it refers to their results.
cudaError_t widen_operands(Inputs& in, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
