#include "cuda/kernels/dispatch.cuh"
#include "cuda/kernels/head_kernels.cuh"

namespace warpdice::cuda {
WARPDICE_KERNELS_OF(BFloat16);
WARPDICE_HEAD_KERNELS_OF(BFloat16);
}  // namespace warpdice::cuda
