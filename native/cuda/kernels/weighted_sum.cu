#include "cuda/kernels/weighted_sum.h"

#include "cuda/kernels/device_api.h"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {
namespace {

/// A grid of one block.
__global__ void __launch_bounds__(kThreads) add_weighted_kernel(WeightedTerm term) {
  for (int64_t i = threadIdx.x; i < term.count; i += kThreads) {
    const double before = term.first ? 0 : term.sum[i];
    term.sum[i] = term.weight == 0 ? before : before + term.weight * term.value[i];
  }
  if (threadIdx.x != 0) return;
  if (term.first) *term.first_fault = {};
  if (term.fault && term.first_fault->count == 0) *term.first_fault = *term.fault;
}

}  // namespace

cudaError_t enqueue_add_weighted(const WeightedTerm& term, cudaStream_t stream) {
  return launch(add_weighted_kernel, dim3(1), dim3(kThreads), 0, stream, term);
}

}  // namespace warpdice::cuda
