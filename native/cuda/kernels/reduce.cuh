#pragma once
// Sums over the lanes of a warp, in an order that never changes.
#include "cuda/engine.h"
#include "cuda/kernels/device_api.h"

namespace warpdice::cuda {

constexpr int kWarp = 32, kThreads = 256, kWarps = kThreads / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;

constexpr int64_t kMostBlocks = 0x7fffffff;  // of a grid
constexpr const char* kTooManyBlocks = "More than 2^31 - 1 blocks do not fit a CUDA grid.";

/// Every lane gets the sum over its team: `lanes` neighbours, a power of two. All lanes of the warp take part.
template <class A>
__device__ A team_sum(A x, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAllLanes, x, distance);
  return x;
}

template <class A>
__device__ A team_max(A x, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    x = fmax(x, __shfl_xor_sync(kAllLanes, x, distance));
  }
  return x;
}

__device__ inline double warp_sum(double x) { return team_sum(x, kWarp); }

/// All but the weight, which classes have in common. Without kFull V is T.
template <bool kFull>
__device__ void warp_sum(Sums& sums) {
  sums.intersection = warp_sum(sums.intersection);
  sums.prediction = warp_sum(sums.prediction);
  sums.target = warp_sum(sums.target);
  sums.volume = kFull ? warp_sum(sums.volume) : sums.target;
  if constexpr (kFull) {
    sums.cross_entropy = warp_sum(sums.cross_entropy);
    sums.uniform = warp_sum(sums.uniform);
    sums.focal = warp_sum(sums.focal);
  }
}

}  // namespace warpdice::cuda
