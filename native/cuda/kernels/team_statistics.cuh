#pragma once
// Step 1 by teams (team.cuh).
#include "cuda/kernels/team.cuh"

namespace warpdice::cuda {

/// The sums of a thread's classes, in A: a thread has few voxels.
template <class A, int kC, bool kDense, bool kEntropy>
struct TeamSums {
  A intersection[kC] = {}, prediction[kC] = {}, target[kC] = {}, entropy[kEntropy ? kC : 1] = {}, weight = 0;
  A volume[kDense ? kC : 1] = {};  // of labels it is `target`

  /// Adds a round, whose probabilities have replaced the logits. Those of a round are added first: that keeps chains of
  /// additions, and their errors, short.
  template <bool kSquared, bool kPlain, class P, int kV>
  __device__ inline __attribute__((always_inline)) void add(const Team<P, kC, kV, kDense>& team) {
    if (kPlain || !team.weighted) {
      weight += kV;
      add_as<kSquared, false>(team);
    } else if constexpr (!kPlain) {
#pragma unroll
      for (int j = 0; j < kV; j++) weight += team.weight[j];
      add_as<kSquared, true>(team);
    }
  }

 private:
  template <bool kSquared, bool kWeighted, class P, int kV>
  __device__ inline __attribute__((always_inline)) void add_as(const Team<P, kC, kV, kDense>& team) {
#pragma unroll
    for (int i = 0; i < kC; i++) {
      A few_intersection = 0, few_prediction = 0, few_target = 0, few_volume = 0;
#pragma unroll
      for (int j = 0; j < kV; j++) {
        const A p = team.z[i][j], w = kWeighted ? team.weight[j] : A(1), wp = w * p;
        // The first one is not added to 0, which the compiler would do because of -0.
        const A prediction_here = kSquared ? wp * p : wp;
        few_prediction = j == 0 ? prediction_here : few_prediction + prediction_here;
        if constexpr (kDense) {
          const A t = team.t[i][j], wt = w * t;
          few_intersection += wp * t;
          few_target += kSquared ? wt * t : wt;
          few_volume += wt;
        } else {
          const bool hit = team.slot[j] == i;
          if (j == 0) few_intersection = hit ? wp : A(0);
          else if (hit) few_intersection += wp;
          if (hit) target[i] += w;
        }
      }
      intersection[i] += few_intersection;
      prediction[i] += few_prediction;
      if constexpr (kDense) {
        target[i] += few_target;
        volume[i] += few_volume;
      }
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

/// Replaces the logits by the probabilities of a softmax. kEntropy: adds up the sum E too.
template <bool kPlain, class P, int kC, int kV, bool kDense, bool kEntropy>
__device__ inline void softmax_of(Team<P, kC, kV, kDense>& team, TeamSums<Accumulator<P>, kC, kDense, kEntropy>& sums) {
  using A = Accumulator<P>;
  A largest[kV], sum[kV], inverse[kV], of_label[kV];
  team.find_largest(largest);
  if constexpr (kEntropy) {
    // -log p = log(sum) - (z - largest): first the part of z, which p will replace. Where the target is 0 it adds
    // nothing, even if z is -infinity.
    if (!kDense || team.in.cross_entropy) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
#pragma unroll
        for (int i = 0; i < kC; i++) {
          const A above = largest[j] - team.z[i][j];
          if (kDense && team.t[i][j] != 0) sums.entropy[i] += team.weight[j] * team.t[i][j] * above;
          if (!kDense && team.slot[j] == i) of_label[j] = above;
        }
      }
    }
  }
  team.exponentials(largest, sum);
#pragma unroll
  for (int j = 0; j < kV; j++) {
    inverse[j] = fast_reciprocal(sum[j]);
    if constexpr (kEntropy && !kDense) of_label[j] = (kPlain ? A(1) : team.weight[j]) * (of_label[j] + log(sum[j]));
#pragma unroll
    for (int i = 0; i < kC; i++) {
      team.z[i][j] *= inverse[j];
      if (kEntropy && !kDense && team.slot[j] == i) sums.entropy[i] += of_label[j];
    }
  }
  if constexpr (kDense) {
    if (!team.in.cross_entropy) return;
#pragma unroll
    for (int j = 0; j < kV; j++) {
      const A log_sum = team.weight[j] * log(sum[j]);
#pragma unroll
      for (int i = 0; i < kC; i++) sums.entropy[i] += team.t[i][j] * log_sum;
    }
  }
}

/// The same for a sigmoid.
template <bool kPlain, bool kLogarithms, class P, int kC, int kV, bool kDense, bool kEntropy>
__device__ inline void sigmoid_of(Team<P, kC, kV, kDense>& team, TeamSums<Accumulator<P>, kC, kDense, kEntropy>& sums) {
  using A = Accumulator<P>;
#pragma unroll
  for (int i = 0; i < kC; i++) {
#pragma unroll
    for (int j = 0; j < kV; j++) {
      if constexpr (!kLogarithms) {
        // e^-z may be infinite: p is 0 then.
        team.z[i][j] = fast_reciprocal(1 + fast_exp(-team.z[i][j]));
        continue;
      }
      const Probability<A> x = pointwise<true>(true, team.z[i][j]);
      team.z[i][j] = x.p;
      if constexpr (kLogarithms && kDense) {
        const A t = team.t[i][j], rest = 1 - t;
        sums.entropy[i] += team.weight[j] * ((t != 0 ? t * x.neg_log_p : 0) + (rest != 0 ? rest * x.neg_log_not_p : 0));
      } else if constexpr (kLogarithms) {
        sums.entropy[i] += (kPlain ? A(1) : team.weight[j]) * (team.slot[j] == i ? x.neg_log_p : x.neg_log_not_p);
      }
    }
  }
}

/// partials: [N][C][chunks]. kEntropy: makes the sum E too; of a dense target only if the call asks for it.
template <class P, int kC, bool kDense, bool kEntropy>
__global__ void __launch_bounds__(kThreads, kNeedsRegisters ? 1 : kTeamBlocks<P, kC, kEntropy>)
    team_statistics_kernel(Inputs in, TeamShape shape, Sums* partials, Counters* counters) {
  using A = Accumulator<P>;
  constexpr int kV = kStatisticsVoxels<P, kC, !kEntropy>;
  Team<P, kC, kV, kDense> team(in, shape, blockIdx.x);
  TeamSums<A, kC, kDense, kEntropy> sums;
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;

  // Where registers are left, the next round is asked for before this one is computed.
  constexpr bool kAhead = sizeof(P) <= 4 && kC * kV <= (kDense || kEntropy ? 8 : 16) && kC != 2;
  const auto take_rounds = [&](auto is_plain) {
    constexpr bool kPlain = decltype(is_plain)::value;
    if (kAhead && team.template has_round<kPlain>()) team.template request<kPlain>();
#pragma unroll 1
    while (team.template has_round<kPlain>()) {
      if (!kAhead) team.template request<kPlain>();
      team.template take<kPlain>(counters);
      if (!softmax && !sigmoid) {
#pragma unroll
        for (int i = 0; i < kC; i++) {
          if (i >= team.mine) continue;
#pragma unroll
          for (int j = 0; j < kV; j++) {
            check_probability(in, kPlain ? A(1) : team.weight[j], team.z[i][j], team.index(i, j), counters);
          }
        }
      }
      team.to_next_round();
      if (kAhead && team.template has_round<kPlain>()) team.template request<kPlain>();
      if (softmax) softmax_of<kPlain>(team, sums);
      else if (sigmoid && kEntropy && (!kDense || in.cross_entropy)) sigmoid_of<kPlain, kEntropy>(team, sums);
      else if (sigmoid) sigmoid_of<kPlain, false>(team, sums);
      if (in.squared) sums.template add<true, kPlain>(team);
      else sums.template add<false, kPlain>(team);
    }
  };
  if constexpr (!kDense) {
    if (team.plain) take_rounds(Flag<true>{});
  }
  take_rounds(Flag<false>{});

  const auto partial_at = [&](int c) -> Sums& {
    return partials[(team.n * in.classes + c) * shape.chunks + team.chunk_index];
  };
  constexpr int kKinds = 3 + kEntropy + kDense;
  A all[kKinds * kC];
#pragma unroll
  for (int i = 0; i < kC; i++) {
    all[i * kKinds] = sums.intersection[i];
    all[i * kKinds + 1] = sums.prediction[i];
    all[i * kKinds + 2] = sums.target[i];
    if constexpr (kEntropy) all[i * kKinds + 3] = sums.entropy[i];
    if constexpr (kDense) all[i * kKinds + 3 + kEntropy] = sums.volume[i];
  }
  for_block_sums(shape, all, [&](int slot, int member, double sum) {
    const int c = member * kC + slot / kKinds, kind = slot % kKinds;
    if (c >= in.classes) return;
    Sums& to = partial_at(c);
    if (kind == 0) to.intersection = sum;
    else if (kind == 1) to.prediction = sum;
    else if (kind == 2) to.target = sum;
    else if (kind == 3 && kEntropy) to.cross_entropy = sum;
    if (kind == (kDense ? kKinds - 1 : 2)) to.volume = sum;
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
