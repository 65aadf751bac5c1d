#pragma once
// Step 1 by teams (team.cuh).
#include "cuda/kernels/team.cuh"

namespace warpdice::cuda {

/// The sums of a thread's classes, in A: a thread has few voxels.
template <class A, int kC, bool kEntropy>
struct TeamSums {
  A intersection[kC] = {}, prediction[kC] = {}, target[kC] = {}, entropy[kEntropy ? kC : 1] = {}, weight = 0;

  /// Adds a round, whose probabilities have replaced the logits. Those of a round are added first: that keeps chains of
  /// additions, and their errors, short.
  template <bool kSquared, bool kWeighted, class P>
  __device__ inline __attribute__((always_inline)) void add(const Team<P, kC>& team) {
    constexpr int kV = kTeamVoxels<P, kC>;
#pragma unroll
    for (int j = 0; j < kV; j++) weight += kWeighted ? team.weight[j] : A(1);
#pragma unroll
    for (int i = 0; i < kC; i++) {
      A few_intersection = 0, few_prediction = 0;
#pragma unroll
      for (int j = 0; j < kV; j++) {
        const A p = team.z[i][j], w = kWeighted ? team.weight[j] : A(1), wp = w * p;
        few_prediction += kSquared ? wp * p : wp;
        if (team.slot[j] != i) continue;
        few_intersection += wp;
        target[i] += w;
      }
      intersection[i] += few_intersection;
      prediction[i] += few_prediction;
    }
  }
};

/// Adds up, over the block, a number of every thread, in double. Threads of the same class, or of the same warp of a
/// team, are added. visit(slot, thread, sum): gets the sum of x[slot] from one thread of each place in a team.
/// All threads of the block must call it.
template <class A, int kCount, class Visit>
__device__ void for_block_sums(const TeamShape& shape, const A (&x)[kCount], Visit visit) {
  A* shared = shared_memory<A>();
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  __syncthreads();  // every thread has read what was there before
#pragma unroll
  for (int i = 0; i < kCount; i++) shared[i * kThreads + threadIdx.x] = x[i];
  __syncthreads();  // every thread has stored its numbers
  // A warp takes one number of all warps that have the same place in their teams.
  for (int job = warp; job < kCount * shape.warps; job += kWarps) {
    const int slot = job / shape.warps, of = job % shape.warps;
    double sum = 0;
    for (int w = of; w < kWarps; w += shape.warps) sum += shared[slot * kThreads + w * kWarp + lane];
    for (int distance = kWarp / 2; distance >= shape.lanes; distance /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, distance);
    }
    if (lane < shape.lanes) visit(slot, of * shape.lanes + lane, sum);
  }
}

/// partials: [N][C][chunks]. kEntropy: makes the sum E too.
template <class P, int kC, bool kEntropy>
__global__ void __launch_bounds__(kThreads, kTeamBlocks<P, kC, kEntropy>)
    team_statistics_kernel(Inputs in, TeamShape shape, Sums* partials, Counters* counters) {
  using A = Accumulator<P>;
  constexpr int kV = kTeamVoxels<P, kC>;
  Team<P, kC> team(in, shape, blockIdx.x);
  TeamSums<A, kC, kEntropy> sums;
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;

  const int rounds = team.rounds();
  // Where registers are left, the next round is asked for before this one is computed.
  constexpr bool kAhead = sizeof(P) <= 4 && kC != 2 && kC <= (kEntropy ? 3 : 4);
  if (kAhead) team.request();
#pragma unroll 1
  for (int round = 0; round < rounds; round++) {
    if (!kAhead) team.request();
    team.take(counters);
    if (!softmax && !sigmoid) {
#pragma unroll
      for (int i = 0; i < kC; i++) {
        if (i >= team.mine) continue;
#pragma unroll
        for (int j = 0; j < kV; j++) check_probability(in, team.weight[j], team.z[i][j], team.index(i, j), counters);
      }
    }
    team.to_next_round();
    if (kAhead && round + 1 < rounds) team.request();
    if (softmax) {
      A inverse[kV], of_label[kV];
      team.template exponentials<kEntropy>(inverse, of_label);
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if constexpr (kEntropy) of_label[j] *= team.weight[j];
#pragma unroll
        for (int i = 0; i < kC; i++) {
          team.z[i][j] *= inverse[j];
          if (kEntropy && team.slot[j] == i) sums.entropy[i] += of_label[j];
        }
      }
    } else if (sigmoid) {
#pragma unroll
      for (int i = 0; i < kC; i++) {
#pragma unroll
        for (int j = 0; j < kV; j++) {
          const Probability<A> x = pointwise<kEntropy>(true, team.z[i][j]);
          if (kEntropy) sums.entropy[i] += team.weight[j] * (team.slot[j] == i ? x.neg_log_p : x.neg_log_not_p);
          team.z[i][j] = x.p;
        }
      }
    }
    if (team.weighted && in.squared) sums.template add<true, true>(team);
    else if (team.weighted) sums.template add<false, true>(team);
    else if (in.squared) sums.template add<true, false>(team);
    else sums.template add<false, false>(team);
  }

  const auto partial_at = [&](int c) -> Sums& {
    return partials[(team.n * in.classes + c) * shape.chunks + team.chunk_index];
  };
  constexpr int kKinds = kEntropy ? 4 : 3;
  A all[kKinds * kC];
#pragma unroll
  for (int i = 0; i < kC; i++) {
    all[i * kKinds] = sums.intersection[i];
    all[i * kKinds + 1] = sums.prediction[i];
    all[i * kKinds + 2] = sums.target[i];
    if constexpr (kEntropy) all[i * kKinds + 3] = sums.entropy[i];
  }
  for_block_sums(shape, all, [&](int slot, int member, double sum) {
    const int c = member * kC + slot / kKinds, kind = slot % kKinds;
    if (c >= in.classes) return;
    Sums& to = partial_at(c);
    if (kind == 0) to.intersection = sum;
    else if (kind == 1) to.prediction = sum;
    else if (kind == 2) to.target = to.volume = sum;
    else to.cross_entropy = sum;
  });
  const A weight[1] = {sums.weight};
  for_block_sums(shape, weight, [&](int, int member, double sum) {
    for (int c = member * kC; c < in.classes && c < (member + 1) * kC; c++) {
      Sums& to = partial_at(c);
      to.weight = sum;
      if (!kEntropy) to.cross_entropy = 0;
      to.uniform = to.focal = 0;
    }
  });
}

}  // namespace warpdice::cuda
