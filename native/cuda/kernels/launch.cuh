#pragma once
// Steps 1 and 3 for predictions of type P. dispatch.cuh defines these functions; each type is compiled in a file of its
// own (float32.cu and so on), so that the compiler can do them in parallel.
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

/// partials: [N][C][geometry.chunks], written.
template <class P>
cudaError_t launch_statistics(const Geometry& geometry, const Inputs& in, Sums* partials, const Notes& notes,
                              cudaStream_t stream);

/// slopes: [groups][C]. pooled: there is one group, which all samples use.
template <class P>
cudaError_t launch_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                            bool pooled, const GradientOut& out, cudaStream_t stream);

/// The same for dL/dt. geometry: target_geometry_of(in).
template <class P>
cudaError_t launch_target_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                                   bool pooled, const GradientOut& out, cudaStream_t stream);

/// Launches each kernel of predictions of type P once, without memory: for a recorder.
template <class P>
cudaError_t launch_all();

}  // namespace warpdice::cuda
