#pragma once
// Loads kernels before they are launched.
#include <cuda_runtime.h>

#include <functional>

namespace warpdice::cuda {

/// Makes CUDA load the kernels that `enqueue` would launch on the device. CUDA loads a kernel when it is used first,
/// and the driver then compiles one that is there as PTX alone: this takes seconds. Blocks. `enqueue` gets no memory
/// and no stream, since nothing is launched.
void load_kernels(int device, const std::function<cudaError_t()>& enqueue);

}  // namespace warpdice::cuda
