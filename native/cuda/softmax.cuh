#pragma once
// Softmax over any number of classes: p_c = e^(z_c - m) / sum_j e^(z_j - m) with m = max_j z_j.
//
// Statistics: a block has a tile of kTile voxels of one n. First a thread per voxel makes m and the inverse of the
// sum; then a warp per class adds its terms over the tile, whose logits come from the caches.
// Gradient: a thread per voxel, dz_c = w * p_c * (dp_c - sum_j p_j dp_j).
// Blocks are numbered [N][tiles].
#include "reduce.cuh"
#include "voxel.cuh"

namespace warpdice::cuda {

constexpr int64_t kTile = 4 * kThreads;

template <class A>
struct Normalizer {
  A largest, inverse;

  __device__ A p(A z) const { return exp(z - largest) * inverse; }
};

/// z: class 0 of the voxel; class c lies c*stride further.
template <class P>
__device__ Normalizer<Accumulator<P>> normalize(const P* z, int64_t classes, int64_t stride) {
  using A = Accumulator<P>;
  A largest = widen(z[0]);
  for (int64_t c = 1; c < classes; c++) {
    const A x = widen(z[c * stride]);
    if (x > largest || x != x) largest = x;  // NaN stays
  }
  // Many small terms beside the 1 of the largest class would be lost, all to the same side.
  A sum = 0, lost = 0;
  for (int64_t c = 0; c < classes; c++) {
    const A e = exp(widen(z[c * stride]) - largest), next = sum + e;
    lost += e - (next - sum);
    sum = next;
  }
  return {largest, 1 / (sum + lost)};
}

/// What the statistics keep of a tile in shared memory.
template <class A>
struct Tile {
  Normalizer<A> normalizers[kTile];
  Voxel<A> voxels[kTile];
};

/// partials: [N][C][tiles]. Shared memory: Tile<Accumulator<P>>.
template <class P>
__global__ void __launch_bounds__(kThreads, 2)
    softmax_statistics_kernel(Inputs in, Strides strides, int64_t tiles, Sums* partials, Counters* faults) {
  using A = Accumulator<P>;
  Tile<A>& tile = *shared_memory<Tile<A>>();
  const int64_t n = blockIdx.x / tiles, number = blockIdx.x % tiles, begin = number * kTile;
  const int count = static_cast<int>(in.voxels - begin < kTile ? in.voxels - begin : kTile);
  const P* predictions = static_cast<const P*>(in.predictions.data);

  for (int j = threadIdx.x; j < count; j += kThreads) {
    tile.voxels[j] = read_voxel<P>(in, n, begin + j, faults);
    tile.normalizers[j] = normalize(predictions + strides.at(n, 0, begin + j), in.classes, strides.channel);
  }
  __syncthreads();

  const int lane = threadIdx.x % kWarp;
  for (int64_t c = threadIdx.x / kWarp; c < in.classes; c += kWarps) {
    Sums sums = {};
    for (int first = lane; first < count; first += kChain * kWarp) {
      Terms<A> terms;
      for (int k = 0; k < kChain && first + k * kWarp < count; k++) {
        const int j = first + k * kWarp;
        const int64_t i = strides.at(n, c, begin + j);
        const A t = read_target<P>(in, tile.voxels[j], c, i, faults);
        terms.add(in, tile.voxels[j].weight, tile.normalizers[j].p(widen(predictions[i])), t);
      }
      add(sums, terms);
    }
    warp_sum(sums);
    if (lane == 0) partials[(n * in.classes + c) * tiles + number] = sums;
  }
}

/// slopes: [groups, C]. The gradient may lie where the logits do: a thread reads z_c before it writes dz_c, and
/// needs no class after that.
template <class P>
__global__ void __launch_bounds__(kThreads, 2)
    softmax_gradient_kernel(Inputs in, Strides strides, int64_t tiles, const Slope<Accumulator<P>>* slopes, bool pooled,
                            GradientOut out) {
  using A = Accumulator<P>;
  const int64_t n = blockIdx.x / tiles, begin = blockIdx.x % tiles * kTile;
  const int64_t end = begin + kTile < in.voxels ? begin + kTile : in.voxels;
  const P* predictions = static_cast<const P*>(in.predictions.data);
  if (!pooled) slopes += n * in.classes;

  for (int64_t s = begin + threadIdx.x; s < end; s += kThreads) {
    const Voxel<A> voxel = read_voxel<P>(in, n, s, nullptr);
    const Normalizer<A> normalizer = normalize(predictions + strides.at(n, 0, s), in.classes, strides.channel);
    const auto slope_at = [&](int64_t c, int64_t i, A p) {
      const A t = read_target<P>(in, voxel, c, i, nullptr);
      return slopes[c].at(t, p - t);
    };
    A mean = 0;
    for (int64_t c = 0; c < in.classes; c++) {
      const int64_t i = strides.at(n, c, s);
      const A p = normalizer.p(widen(predictions[i]));
      mean += p * slope_at(c, i, p);
    }
    for (int64_t c = 0; c < in.classes; c++) {
      const int64_t i = strides.at(n, c, s);
      const A p = normalizer.p(widen(predictions[i]));
      write<P>(out, i, voxel.weight == 0 ? A(0) : voxel.weight * (p * (slope_at(c, i, p) - mean)));
    }
  }
}

}  // namespace warpdice::cuda
