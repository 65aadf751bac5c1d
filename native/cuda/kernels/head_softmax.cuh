#pragma once
// The commonest calls on a tile of logits in shared memory: softmax, labels, and the sums I, P, T and E, with weights
// of voxels or without. tile.cuh does the same for every call, in more instructions. Each exponential is
// computed once in a step, and what only the label's class has is done once a voxel: of a team's kPack voxels, lane j
// of the team does it for voxel j.
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

/// Replaces each of the numbers by what `combine` makes of those of the team. All lanes of the warp must call it.
template <class A, int kPack, class Combine>
__device__ void over_team(A (&x)[kPack], int lanes, Combine combine) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
#pragma unroll
    for (int j = 0; j < kPack; j++) x[j] = combine(x[j], __shfl_xor_sync(kAllLanes, x[j], distance));
  }
}

template <class A, int kPack>
__device__ void sum_over_team(A (&x)[kPack], int lanes) {
  over_team(x, lanes, [](A a, A b) { return a + b; });
}

/// x[i], without an index into registers.
template <class A, int kPack>
__device__ A element(const A (&x)[kPack], int i) {
  A one = x[0];
#pragma unroll
  for (int j = 1; j < kPack; j++) one = i == j ? x[j] : one;
  return one;
}

/// Whether every voxel of the tile exists and has weight 1.
template <class P, int kPack>
__device__ bool is_whole(const Tile<P, kPack>& tile) {
  return tile.count == tile.shape.voxels && !tile.in.weight.data && !tile.in.has_ignore;
}

/// Replaces the logits by e^(z - largest), with p = inverse * that. `largest` becomes -log p of the label's class.
template <class P, int kPack>
__device__ void make_exponentials(const Tile<P, kPack>& tile) {
  using A = Accumulator<P>;
  if (tile.has_team()) {
    const int team = tile.shape.team, lane = threadIdx.x % team, v = threadIdx.x / team * kPack;
    TileVoxel<A>* const own = lane < kPack ? tile.voxels + v + lane : nullptr;
    const A z_of_label = own && own->class_index >= 0 ? *tile.place(own->class_index, v + lane) : A(0);
    A largest[kPack], sum[kPack];
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      largest[j] = -INFINITY;
      sum[j] = 0;
    }
    tile.for_team([&](int c, int v) {
      A z[kPack];
      load_whole(tile.place(c, v), z);
#pragma unroll
      for (int j = 0; j < kPack; j++) largest[j] = fmax(largest[j], z[j]);
    });
    over_team(largest, team, [](A a, A b) { return fmax(a, b); });
    __syncwarp();  // every lane has read its label's logit
    tile.for_team([&](int c, int v) {
      A z[kPack];
      load_whole(tile.place(c, v), z);
#pragma unroll
      for (int j = 0; j < kPack; j++) {
        z[j] = fast_exp(z[j] - largest[j]);
        sum[j] += z[j];
      }
      store_whole(tile.place(c, v), z);
    });
    sum_over_team(sum, team);
    if (own) {
      const A total = element(sum, lane);
      own->inverse = fast_reciprocal(total);
      if (tile.in.cross_entropy) own->largest = log(total) - (z_of_label - element(largest, lane));
    }
  }
  __syncthreads();  // every voxel is complete
}

/// Adds class c of the voxels of one of the threads that share the class. kWhole: is_whole(tile).
template <bool kWhole, class P, int kPack>
__device__ void add_softmax_share(const Tile<P, kPack>& tile, int c, int share, int sharers, Sums& sum) {
  using A = Accumulator<P>;
  const bool squared = tile.in.squared;
  VoxelSums<A> few;
  for (int v = share * kPack; v < tile.count; v += sharers * kPack) {
    A e[kPack];
    load_whole(tile.place(c, v), e);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      const TileVoxel<A> voxel = tile.voxels[v + j];
      const A w = kWhole ? A(1) : voxel.weight;
      if (!kWhole && w == 0) continue;
      const A p = e[j] * voxel.inverse, wp = w * p;
      few.prediction += wp * (squared ? p : A(1));
      if constexpr (!kWhole) few.weight += w;
      if (voxel.class_index != c) continue;
      few.intersection += wp;
      few.target += w;
      few.cross_entropy += w * voxel.largest;
    }
    if constexpr (kWhole) few.weight += kPack;
  }
  few.volume = few.target;
  if (!tile.in.cross_entropy) few.cross_entropy = 0;
  add(sum, few);
}

/// Replaces the exponentials by dL/dz. slopes: [C].
template <class P, int kPack>
__device__ void differentiate_softmax(const Tile<P, kPack>& tile, const ClassSlope<Accumulator<P>>* slopes) {
  using A = Accumulator<P>;
  if (!tile.has_team()) return;
  const int team = tile.shape.team, lane = threadIdx.x % team, first = threadIdx.x / team * kPack;
  A inverse[kPack], weight[kPack], mean[kPack];  // weight: with the factor of p
  int label[kPack];
#pragma unroll
  for (int j = 0; j < kPack; j++) {
    const TileVoxel<A> voxel = tile.voxels[first + j];
    inverse[j] = voxel.inverse;
    weight[j] = voxel.weight * voxel.inverse;
    label[j] = voxel.class_index;
    mean[j] = 0;
  }
  tile.for_team([&](int c, int v) {
    const PredictionSlope<A> slope = slopes[c].prediction;
    A e[kPack];
    load_whole(tile.place(c, v), e);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      const A p = e[j] * inverse[j];
      if (c != label[j]) mean[j] += p * (slope.slope * p + slope.constant);
    }
  });
  // The label's class, where p - 1 is exact.
  const int own = lane < kPack ? element(label, lane) : -1;
  A p = 0, dp = 0, entropy = 0;
  if (own >= 0) {
    const ClassSlope<A>& slope = slopes[own];
    p = *tile.place(own, first + lane) * element(inverse, lane);
    dp = slope.prediction.at(A(1), p - 1);
    entropy = slope.cross_entropy;
#pragma unroll
    for (int j = 0; j < kPack; j++) mean[j] += j == lane ? p * dp - entropy : 0;
  }
  sum_over_team(mean, team);
  const A of_label = own >= 0 ? tile.voxels[first + lane].weight * (p * (dp - element(mean, lane)) - entropy) : 0;
  __syncwarp();  // every lane has read its label's exponential
  tile.for_team([&](int c, int v) {
    const PredictionSlope<A> slope = slopes[c].prediction;
    A e[kPack];
    load_whole(tile.place(c, v), e);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      const A p = e[j] * inverse[j];
      e[j] = e[j] * weight[j] * (slope.slope * p + (slope.constant - mean[j]));
    }
    store_whole(tile.place(c, v), e);
  });
  __syncwarp();  // the other classes' gradients are stored
  if (own >= 0) *tile.place(own, first + lane) = of_label;
  if (is_whole(tile)) return;
  __syncwarp();  // the labels' gradients are stored
  // What belongs to a voxel that does not count may be NaN, which no weight makes 0.
  tile.for_team([&](int c, int v) {
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      if (tile.voxels[v + j].weight == 0) *tile.place(c, v + j) = 0;
    }
  });
}

}  // namespace warpdice::cuda
