// What the engine links against where only the kernels of float32 are compiled, as mutants.mjs does to save time.
#include "cuda/geometry.h"

namespace warpdice::cuda {

#define WARPDICE_NO_KERNELS_OF(P)                                                                           \
  template <>                                                                                               \
  cudaError_t launch_statistics<P>(const Geometry&, const Inputs&, Sums*, Counters*, cudaStream_t) {        \
    return cudaErrorNotSupported;                                                                           \
  }                                                                                                         \
  template <>                                                                                               \
  cudaError_t launch_gradient<P>(const Geometry&, const Inputs&, const Slope<Accumulator<P>>*, bool,        \
                                 const GradientOut&, cudaStream_t) {                                        \
    return cudaErrorNotSupported;                                                                           \
  }                                                                                                         \
  template <>                                                                                               \
  cudaError_t launch_target_gradient<P>(const Geometry&, const Inputs&, const Slope<Accumulator<P>>*, bool, \
                                        const GradientOut&, cudaStream_t) {                                 \
    return cudaErrorNotSupported;                                                                           \
  }

WARPDICE_NO_KERNELS_OF(double)
WARPDICE_NO_KERNELS_OF(Float16)
WARPDICE_NO_KERNELS_OF(BFloat16)

}  // namespace warpdice::cuda
