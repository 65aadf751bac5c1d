#pragma once
// Where a thread is in its team (team.cuh), and which classes it has.
#include "cuda/kernels/device_api.h"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

/// x / shape.warps, for a small x that is not negative.
__device__ inline int divided_by_warps(const TeamShape& shape, int x) { return x * shape.inverse_warps >> 16; }

/// The teams, or parts of teams, in a warp.
__device__ inline int teams_of_warp(const TeamShape& shape) { return kWarp >> shape.lane_bits; }

/// Tells the compiler what it can know of the shape: one class has teams of one thread.
template <int kC>
__device__ void know(TeamShape& shape) {
  if constexpr (kC == 1) {
    shape.lanes = shape.warps = shape.least = 1;
    shape.lane_bits = shape.more = 0;
    shape.inverse_warps = 1 << 16;
    shape.block_warps = kWarps;
    shape.interleaved = false;
  }
}

/// The classes of a thread: [first, first + mine).
template <int kC>
struct Share {
  int first, mine;

  /// member: of its team.
  __device__ Share(const Inputs& in, const TeamShape& shape, int member) {
    if (shape.interleaved) {
      first = member * kC;
      const int left = static_cast<int>(in.classes) - first;
      mine = left < 0 ? 0 : left < kC ? left : kC;
    } else {
      first = member * shape.least + (member < shape.more ? member : shape.more);
      mine = shape.least + (member < shape.more ? 1 : 0);
    }
  }
};

/// Where a thread is: member `member` of team `team` of the block. Where teams have several warps, `exchange` is where
/// its number is for the others, and `exchanged` where the first warp's is; the next warp's is kExchangeStride further.
struct Seat {
  int member, team, exchange, exchanged;
  static constexpr int kExchangeStride = kWarp;

  __device__ explicit Seat(const TeamShape& shape) {
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int row = divided_by_warps(shape, warp), first_warp = row * shape.warps, of_warp = lane >> shape.lane_bits;
    member = ((warp - first_warp) << shape.lane_bits) + (lane & (shape.lanes - 1));
    team = row * teams_of_warp(shape) + of_warp;
    exchange = warp * kExchangeStride + of_warp;
    exchanged = first_warp * kExchangeStride + of_warp;
  }
};

}  // namespace warpdice::cuda
