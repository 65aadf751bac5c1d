#include "cuda/kernels/dispatch.cuh"
#include "cuda/kernels/head_kernels.cuh"
#include "cuda/kernels/head_predict.cuh"

namespace warpdice::cuda {
WARPDICE_KERNELS_OF(double);
WARPDICE_HEAD_KERNELS_OF(double);
WARPDICE_HEAD_PREDICTIONS_OF(double);
}  // namespace warpdice::cuda
