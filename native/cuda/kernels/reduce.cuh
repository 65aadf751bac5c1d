#pragma once
// Sums over the lanes of a warp, in an order that never changes.
#include "cuda/kernels/device_api.h"
#include "cuda/kernels/shapes.h"
#include "math/sums.h"

namespace warpdice::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

/// Every lane gets the sum over its team: `lanes` neighbouring lanes, a power of two. All lanes of the warp must call
/// it.
template <class A>
__device__ A team_sum(A x, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAllLanes, x, distance);
  return x;
}

/// The same for the largest number.
template <class A>
__device__ A team_max(A x, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    x = fmax(x, __shfl_xor_sync(kAllLanes, x, distance));
  }
  return x;
}

__device__ inline double warp_sum(double x) { return team_sum(x, kWarp); }

/// Adds up the members of a loss without label smoothing and focal loss, and perhaps without a cross-entropy; not the
/// weight, which the caller adds up once for all classes.
__device__ inline void warp_sum_commonest(Sums& sums, bool cross_entropy) {
  sums.intersection = warp_sum(sums.intersection);
  sums.prediction = warp_sum(sums.prediction);
  sums.target = warp_sum(sums.target);
  sums.volume = warp_sum(sums.volume);
  if (cross_entropy) sums.cross_entropy = warp_sum(sums.cross_entropy);
}

/// Adds up all members but the weight.
__device__ inline void warp_sum(Sums& sums) {
  warp_sum_commonest(sums, true);
  sums.uniform = warp_sum(sums.uniform);
  sums.focal = warp_sum(sums.focal);
}

}  // namespace warpdice::cuda
