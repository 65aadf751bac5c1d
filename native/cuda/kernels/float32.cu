#include "cuda/kernels/dispatch.cuh"

namespace warpdice::cuda {
WARPDICE_KERNELS_OF(float);
}
