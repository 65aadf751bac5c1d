#pragma once
// What kernels read beside the predictions: a dense target or a weight is uint8, float32 or of the predictions' dtype.
// Others are converted to float32 first, once per call: exactly, but for float64 beside narrower predictions, which is
// rounded as the CPU's engine does.
#include <cuda_runtime.h>

#include "math/types.h"

namespace warpdice::cuda {

/// What make_readable() needs as workspace, aligned to 256 bytes.
size_t readable_bytes(const Inputs& in);

/// Enqueues the conversions and makes `in` read them.
cudaError_t make_readable(Inputs& in, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
