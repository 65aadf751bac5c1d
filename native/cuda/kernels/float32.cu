#include "cuda/kernels/dispatch.cuh"
#include "cuda/kernels/head_kernels.cuh"

namespace warpdice::cuda {
WARPDICE_KERNELS_OF(float);
WARPDICE_HEAD_KERNELS_OF(float);
}  // namespace warpdice::cuda
