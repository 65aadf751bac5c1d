#pragma once
// The kernels of a head for features of type P. A .cu file of each type includes this.
#include "cuda/kernels/head_softmax.cuh"

namespace warpdice::cuda {

/// partials: [N][C][chunks][sharers]. Blocks are numbered [N][chunks]. kPlain: the call is one of head_softmax.cuh.
template <class P, bool kPlain>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_statistics_kernel(Inputs in, HeadShape shape, HeadMemory<Accumulator<P>> memory, Sums* partials, Notes notes) {
  notes.begin();
  Counters* counters = notes.own();
  HeadTile<P> tile(in, shape, memory);
  const int span = tile.C < kThreads ? tile.C : kThreads, share = threadIdx.x / span;
  const int64_t distance = shape.tile.chunks * shape.sharers;  // from class to class
  Sums* const of_block = partials + tile.n * tile.C * distance + tile.chunk * shape.sharers;
  if (kPlain) {
    for (int c = threadIdx.x; c < tile.C; c += kThreads) of_block[c * distance] = {};
  }
  for (int i = 0; i < shape.tile.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.make_logits(counters, kPlain ? HeadSoftmax<P>::kMissing : 0);
    if constexpr (kPlain) {
      HeadSoftmax<P>(tile).add_sums(of_block, distance);
    } else {
      tile.normalize();
      if (share >= shape.sharers) continue;
      for (int c = threadIdx.x % span; c < tile.C; c += span) {
        Sums sum = {};
        add_share(tile, c, share, shape.sharers, sum, counters);
        Sums& to = of_block[c * distance + share];
        if (i > 0) add(sum, to);
        to = sum;
      }
    }
  }
}

/// slopes: [groups, C]. A block has neighbouring tiles, also of several samples. It reads all features of a tile before
/// it writes, so their gradient may replace them.
template <class P, bool kPlain>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_gradient_kernel(Inputs in, HeadShape shape, HeadMemory<Accumulator<P>> memory,
                         const ClassSlope<Accumulator<P>>* slopes, bool pooled, GradientOut features, bool of_weight,
                         bool of_bias) {
  HeadTile<P> tile(in, shape, memory);
  const int64_t tiles = in.samples * shape.tiles_of_sample;
  const int64_t first = blockIdx.x * tiles / gridDim.x, end = (blockIdx.x + int64_t{1}) * tiles / gridDim.x;
  for (int64_t i = first; i < end; i++) {
    __syncthreads();  // every thread has read the tile before
    tile.go_to_tile(i);
    tile.make_logits(nullptr, kPlain ? HeadSoftmax<P>::kMissing : 0);
    const ClassSlope<Accumulator<P>>* of_sample = slopes + (pooled ? 0 : tile.n * in.classes);
    if constexpr (kPlain) {
      HeadSoftmax<P>(tile).differentiate(of_sample);
    } else {
      tile.normalize();
      differentiate(tile, of_sample);
    }
    __syncthreads();  // the gradient is computed
    tile.add_weight_gradients(of_weight, of_bias, i > first);
    if (features.data) tile.store_feature_gradient(features);
  }
}

/// dL/dt of a dense target. slopes: [groups, C]. Blocks as in step 1.
template <class P>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_target_gradient_kernel(Inputs in, HeadShape shape, HeadMemory<Accumulator<P>> memory,
                                const ClassSlope<Accumulator<P>>* slopes, bool pooled, GradientOut out) {
  HeadTile<P> tile(in, shape, memory);
  if (!pooled) slopes += tile.n * in.classes;
  for (int i = 0; i < shape.tile.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.make_logits(nullptr);
    tile.normalize();
    store_target_gradient(tile, slopes, out);
  }
}

template <class P>
cudaError_t launch_head_statistics(const HeadShape& shape, const Inputs& in, const HeadMemory<Accumulator<P>>& memory,
                                   Sums* partials, const Notes& notes, cudaStream_t stream) {
  return launch(shape.plain ? head_statistics_kernel<P, true> : head_statistics_kernel<P, false>, shape.grid(in),
                dim3(kThreads), shape.shared_bytes, stream, in, shape, memory, partials, notes);
}

template <class P>
cudaError_t launch_head_gradient(const HeadShape& shape, const Inputs& in, const Head& head,
                                 const HeadMemory<Accumulator<P>>& memory, const ClassSlope<Accumulator<P>>* slopes,
                                 bool pooled, const GradientOut& features, cudaStream_t stream) {
  const bool of_weight = head.weight_grad.data, of_bias = head.bias_grad.data;
  return launch(shape.plain ? head_gradient_kernel<P, true> : head_gradient_kernel<P, false>,
                dim3(static_cast<unsigned>(shape.blocks)), dim3(kThreads), shape.shared_bytes, stream, in, shape,
                memory, slopes, pooled, features, of_weight, of_bias);
}

template <class P>
cudaError_t launch_head_target_gradient(const HeadShape& shape, const Inputs& in,
                                        const HeadMemory<Accumulator<P>>& memory,
                                        const ClassSlope<Accumulator<P>>* slopes, bool pooled, const GradientOut& out,
                                        cudaStream_t stream) {
  return launch(head_target_gradient_kernel<P>, shape.grid(in), dim3(kThreads), shape.shared_bytes, stream, in, shape,
                memory, slopes, pooled, out);
}

/// Compiles all kernels of features of type P.
#define WARPDICE_HEAD_KERNELS_OF(P)                                                                                  \
  template cudaError_t launch_head_statistics<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&, \
                                                 Sums*, const Notes&, cudaStream_t);                                 \
  template cudaError_t launch_head_gradient<P>(const HeadShape&, const Inputs&, const Head&,                         \
                                               const HeadMemory<Accumulator<P>>&, const ClassSlope<Accumulator<P>>*, \
                                               bool, const GradientOut&, cudaStream_t);                              \
  template cudaError_t launch_head_target_gradient<P>(                                                               \
      const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&, const ClassSlope<Accumulator<P>>*, bool,   \
      const GradientOut&, cudaStream_t)

}  // namespace warpdice::cuda
