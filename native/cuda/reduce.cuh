#pragma once
// Sums over the lanes of a warp and the warps of a block, in an order that never changes.
#include "device_api.h"
#include "engine.h"

namespace warpdice::cuda {

constexpr int kWarp = 32, kThreads = 256, kWarps = kThreads / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;

/// Every lane gets the sum. All lanes of the warp take part.
__device__ inline double warp_sum(double x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(kAllLanes, x, distance);
  return x;
}

__device__ inline void warp_sum(Sums& sums) {
  sums.intersection = warp_sum(sums.intersection);
  sums.prediction = warp_sum(sums.prediction);
  sums.target = warp_sum(sums.target);
  sums.volume = warp_sum(sums.volume);
  sums.weight = warp_sum(sums.weight);
}

/// Thread 0 gets the sums of the block's kThreads threads. shared: [kWarps]. All threads take part.
__device__ inline void block_sum(Sums& sums, Sums* shared) {
  warp_sum(sums);
  if (threadIdx.x % kWarp == 0) shared[threadIdx.x / kWarp] = sums;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; w++) add(sums, shared[w]);
}

}  // namespace warpdice::cuda
