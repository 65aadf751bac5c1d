#pragma once
// Activations that see one class at a time: p = z, or p = 1 / (1 + e^-z).
//
// A block has kPointwiseChunk voxels of one (n, c); blocks are numbered [N][C][chunks].
#include "reduce.cuh"
#include "voxel.cuh"

namespace warpdice::cuda {

constexpr int64_t kPointwiseChunk = kThreads * 16;

/// p and 1 - p, which does not cancel: both come from e^-|z|, and nothing overflows.
template <class A>
struct Probability {
  A p, complement;

  __device__ Probability(bool sigmoid, A z) : p(z), complement(1 - z) {
    if (!sigmoid) return;
    const A e = exp(-fabs(z)), larger = 1 / (1 + e), smaller = e * larger;
    p = z < 0 ? smaller : larger;
    complement = z < 0 ? larger : smaller;
  }
};

/// The (n, c) of a block and its voxels [begin, end).
struct PointwiseBlock {
  int64_t n, c, begin, end;

  __device__ PointwiseBlock(const Inputs& in, int64_t chunks) {
    const int64_t row = blockIdx.x / chunks, chunk = blockIdx.x % chunks;
    n = row / in.classes;
    c = row % in.classes;
    begin = chunk * kPointwiseChunk;
    end = begin + kPointwiseChunk < in.voxels ? begin + kPointwiseChunk : in.voxels;
  }
};

/// partials: [N][C][chunks]. Shared memory: Sums[kWarps].
template <class P>
__global__ void __launch_bounds__(kThreads, 3)
    pointwise_statistics_kernel(Inputs in, Strides strides, int64_t chunks, Sums* partials, Counters* faults) {
  using A = Accumulator<P>;
  const PointwiseBlock block(in, chunks);
  const P* predictions = static_cast<const P*>(in.predictions.data);
  Sums sums = {};
  for (int64_t first = block.begin + threadIdx.x; first < block.end; first += kChain * kThreads) {
    Terms<A> terms;
    for (int k = 0; k < kChain && first + k * kThreads < block.end; k++) {
      const int64_t s = first + k * kThreads, i = strides.at(block.n, block.c, s);
      const Voxel<A> voxel = read_voxel<P>(in, block.n, s, block.c == 0 ? faults : nullptr);
      const A t = read_target<P>(in, voxel, block.c, i, faults);
      terms.add(in, voxel.weight, Probability<A>(in.activation == Activation::sigmoid, widen(predictions[i])).p, t);
    }
    add(sums, terms);
  }
  block_sum(sums, shared_memory<Sums>());
  if (threadIdx.x == 0) partials[blockIdx.x] = sums;
}

/// dz = w*dp, times p*(1-p) for sigmoid. slopes: [groups, C].
template <class P>
__global__ void __launch_bounds__(kThreads, 3)
    pointwise_gradient_kernel(Inputs in, Strides strides, int64_t chunks, const Slope<Accumulator<P>>* slopes,
                              bool pooled, GradientOut out) {
  using A = Accumulator<P>;
  const PointwiseBlock block(in, chunks);
  const bool sigmoid = in.activation == Activation::sigmoid;
  const P* predictions = static_cast<const P*>(in.predictions.data);
  const Slope<A> slope = slopes[(pooled ? 0 : block.n * in.classes) + block.c];
  for (int64_t s = block.begin + threadIdx.x; s < block.end; s += kThreads) {
    const int64_t i = strides.at(block.n, block.c, s);
    const Voxel<A> voxel = read_voxel<P>(in, block.n, s, nullptr);
    const A t = read_target<P>(in, voxel, block.c, i, nullptr);
    const Probability<A> at(sigmoid, widen(predictions[i]));
    const A dp = voxel.weight * slope.at(t, t == 1 ? -at.complement : at.p - t);
    write<P>(out, i, voxel.weight == 0 ? A(0) : sigmoid ? dp * (at.p * at.complement) : dp);
  }
}

}  // namespace warpdice::cuda
