#include "cuda/kernels/launch.cuh"

namespace warpdice::cuda {
WARPDICE_KERNELS_OF(Float16);
}
