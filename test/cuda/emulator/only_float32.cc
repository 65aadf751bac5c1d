// Takes the place of float64.cu, float16.cu and bfloat16.cu, to save the time that the compiler needs: in mutants.mjs
// and for run.mjs thread-float32. With WARPDICE_FLOAT16_TOO not of float16.cu.
#include "cuda/kernels/head.h"

namespace warpdice::cuda {

#define WARPDICE_NO_KERNELS_OF(P)                                                                                      \
  template <>                                                                                                          \
  cudaError_t launch_statistics<P>(const Geometry&, const Inputs&, Sums*, const Notes&, cudaStream_t) {                \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, bool,              \
                                 const GradientOut&, cudaStream_t) {                                                   \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_target_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, bool,       \
                                        const GradientOut&, cudaStream_t) {                                            \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_statistics<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&, Sums*,     \
                                        const Notes&, cudaStream_t) {                                                  \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_gradient<P>(const HeadShape&, const Inputs&, const Head&, const HeadMemory<Accumulator<P>>&, \
                                      const ClassSlope<Accumulator<P>>*, bool, const GradientOut&, cudaStream_t) {     \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_target_gradient<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&,       \
                                             const ClassSlope<Accumulator<P>>*, bool, const GradientOut&,              \
                                             cudaStream_t) {                                                           \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_classes<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&,               \
                                     const ClassesOut&, cudaStream_t) {                                                \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_probabilities<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&,         \
                                           const ChosenClasses&, void*, cudaStream_t) {                                \
    return cudaErrorNotSupported;                                                                                      \
  }                                                                                                                    \
  template <>                                                                                                          \
  cudaError_t launch_head_count<P>(const HeadShape&, const CountInputs&, const HeadMemory<Accumulator<P>>&,            \
                                   const HeadCounts&, cudaStream_t) {                                                  \
    return cudaErrorNotSupported;                                                                                      \
  }

WARPDICE_NO_KERNELS_OF(double)
#ifndef WARPDICE_FLOAT16_TOO
WARPDICE_NO_KERNELS_OF(Float16)
#endif
WARPDICE_NO_KERNELS_OF(BFloat16)

}  // namespace warpdice::cuda
