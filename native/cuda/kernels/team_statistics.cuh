#pragma once
// Step 1 by teams (team.cuh).
#include "cuda/kernels/team.cuh"

namespace warpdice::cuda {

/// The sums of a thread's classes, in A: a thread has few voxels. Of labels in plain rounds only the sum of all E of a
/// team is right: entropy[0] gets what the thread has of it.
template <class A, int kC, bool kDense, bool kEntropy>
struct TeamSums {
  A intersection[kC] = {}, prediction[kC] = {}, target[kC] = {}, entropy[kEntropy ? kC : 1] = {}, weight = 0;
  A volume[kDense ? kC : 1] = {};  // of labels it is `target`

  /// Adds a round, whose probabilities have replaced the logits. Those of a round are added first: that keeps chains of
  /// additions, and their errors, short. kSquared as a number, a factor p or 1, was counted on sm_90 in
  /// earlier kernels: 7% more instructions with 4 classes, 3% with 19, 6% with 64; 6% fewer with one.
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

  /// Adds w*t*(largest - z), the first part of the sum E of a softmax.
  template <bool kPlain, class P, int kV>
  __device__ inline __attribute__((always_inline)) void add_distances(const Team<P, kC, kV, kDense>& team,
                                                                      const A (&largest)[kV]) {
    if (kDense && !team.in.cross_entropy) return;
    const bool full = team.mine == kC;  // else the label of the next thread's first class seems to name the last one
#pragma unroll
    for (int j = 0; j < kV; j++) {
#pragma unroll
      for (int i = 0; i < kC; i++) {
        const A below = team.z[i][j] - largest[j];
        if constexpr (kDense) {
          if (team.t[i][j] != 0) entropy[i] -= team.weight[j] * team.t[i][j] * below;
        } else if (kPlain) {
          if (team.slot[j] == i && (i < kC - 1 || full)) entropy[0] -= below;
        } else {
          entropy[i] -= team.slot[j] == i ? team.weight[j] * below : A(0);
        }
      }
    }
  }

  /// Adds w*t*log(sum), the other part.
  template <bool kPlain, class P, int kV>
  __device__ inline __attribute__((always_inline)) void add_logarithms(const Team<P, kC, kV, kDense>& team,
                                                                       const A (&sum)[kV]) {
    if (kDense && !team.in.cross_entropy) return;
    if constexpr (kPlain) {
      // Their sum is the logarithm of the product, which is at most 1280^8: no class adds more than 1.
      static_assert(kV <= 8);
      A product = sum[0];
#pragma unroll
      for (int j = 1; j < kV; j++) product *= sum[j];
      if (!team.leads) return;
      entropy[0] += log(product);
      if (team.valid) return;
      product = 1;  // of the voxels whose labels name no class
#pragma unroll
      for (int j = 0; j < kV; j++) product *= team.slot[j] < 0 ? sum[j] : 1;
      entropy[0] -= log(product);
    } else {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        const A log_sum = team.weight[j] * log(sum[j]);
#pragma unroll
        for (int i = 0; i < kC; i++) {
          if constexpr (kDense) entropy[i] += team.t[i][j] * log_sum;
          else entropy[i] += team.slot[j] == i ? log_sum : A(0);
        }
      }
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

/// Adds up, over the teams of the block, kCount numbers of each member of a team, in double. visitor_of(member)(slot,
/// sum): gets the sum of x[slot] in one thread. All threads of the block must call it.
template <class A, int kCount, class VisitorOf>
__device__ void for_block_sums(const TeamShape& shape, const Seat& seat, const A (&x)[kCount], VisitorOf visitor_of) {
  A* shared = shared_memory<A>();
  const int members = shape.lanes * shape.warps;
  const int teams = divided_by_warps(shape, shape.block_warps) * teams_of_warp(shape);  // a power of two
  __syncthreads();  // every thread has read what was there before
#pragma unroll
  for (int i = 0; i < kCount; i++) shared[i * kThreads + seat.team * members + seat.member] = x[i];
  __syncthreads();  // every thread has stored its numbers
  // Neighbouring lanes, a power of two, share a sum, as many as there are for all sums at once.
  int sharers = 1, bits = 0;
  while (sharers < kWarp && 2 * sharers * kCount <= teams) sharers *= 2, bits++;
  const int number = threadIdx.x >> bits, share = threadIdx.x & (sharers - 1);
  const int first = number / members, member = number - first * members;
  const auto visit = visitor_of(member);
  for (int begin = 0; begin < kCount; begin += teams >> bits) {
    const int slot = begin + first;
    double sum = 0;
    for (int t = share; t < teams && slot < kCount; t += sharers) sum += shared[slot * kThreads + t * members + member];
    sum = team_sum(sum, sharers);
    if (share == 0 && slot < kCount) visit(slot, sum);
  }
}

/// Replaces the logits by the probabilities of a softmax. kEntropy: adds up the sum E too, of which -log p is
/// log(sum) - (z - largest).
template <bool kPlain, class P, int kC, int kV, bool kDense, bool kEntropy>
__device__ inline void softmax_of(Team<P, kC, kV, kDense>& team, TeamSums<Accumulator<P>, kC, kDense, kEntropy>& sums) {
  using A = Accumulator<P>;
  A largest[kV], sum[kV];  // without kEntropy, `sum` ends as its inverse
  team.template find_largest<false>(largest);
  // The part of z, which p will replace. Where the target is 0 it adds nothing, even if z is -infinity.
  if constexpr (kEntropy) sums.template add_distances<kPlain>(team, largest);
  team.exponentials(largest, sum);
  team.template sum_over_team<false>(sum, 1, [](A x) { return kEntropy ? x : fast_reciprocal(x); });
  if constexpr (kEntropy) sums.template add_logarithms<kPlain>(team, sum);
#pragma unroll
  for (int j = 0; j < kV; j++) {
    const A inverse = kEntropy ? fast_reciprocal(sum[j]) : sum[j];
#pragma unroll
    for (int i = 0; i < kC; i++) team.z[i][j] *= inverse;
  }
}

/// The same for a sigmoid, of labels without weights, with the sum E of all the thread's classes in entropy[0].
template <class P, int kC, int kV, bool kDense, bool kEntropy>
__device__ inline void sigmoid_with_entropy(Team<P, kC, kV, kDense>& team,
                                            TeamSums<Accumulator<P>, kC, kDense, kEntropy>& sums) {
  using A = Accumulator<P>;
  // The logarithms of 1 + e^-|z| add up to that of the product, which is 1 + above.
#pragma unroll
  for (int i = 0; i < kC; i++) {
    A above = 0, linear = 0;
#pragma unroll
    for (int j = 0; j < kV; j++) {
      const A z = team.z[i][j], e = fast_exp(-fabs(z)), larger = fast_reciprocal(1 + e);
      const bool hit = team.slot[j] == i, negative = z < 0;
      above = j == 0 ? e : above + e + above * e;
      if (hit == negative) linear += fabs(z);  // p is on the wrong side of 1/2
      team.z[i][j] = negative ? e * larger : larger;
    }
    if (i < team.mine) sums.entropy[0] += log1p(above) + linear;
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
        sums.entropy[i] += team.weight[j] * (team.slot[j] == i ? x.neg_log_p : x.neg_log_not_p);
      }
    }
  }
}

/// partials: [N][C][chunks]. kEntropy: makes the sum E too; of a dense target only if the call asks for it.
template <class P, int kC, bool kDense, bool kEntropy>
__global__ void __launch_bounds__(kThreads, kNeedsRegisters ? 1 : kStatisticsBlocks<kC, kDense>)
    team_statistics_kernel(Inputs in, TeamShape shape, Sums* partials, Notes notes) {
  using A = Accumulator<P>;
  notes.begin();
  know<kC>(shape);
  constexpr int kV = kStatisticsVoxels<P, kC, !kEntropy>;
  Team<P, kC, kV, kDense> team(in, shape, blockIdx.x);
  TeamSums<A, kC, kDense, kEntropy> sums;
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;

  constexpr bool kMayBeProbabilities = kDense || !kEntropy;  // a cross-entropy is made of logits
  const auto take_rounds = [&](auto rounds) {
    constexpr Rounds kRounds = decltype(rounds)::value;
    constexpr bool kPlain = kRounds != Rounds::any;
    // Where registers are left, the next round is asked for before this one is computed.
    constexpr int kMostAhead = kPlain ? 20 : kDense || kEntropy ? 8 : 16;
    constexpr bool kAhead = kC * kV <= kMostAhead && kC != 2;
    if (kAhead && team.template has_round<kPlain>()) team.template request<kRounds>();
#pragma unroll 1
    while (team.template has_round<kPlain>()) {
      if (!kAhead) team.template request<kRounds>();
      team.template take<kPlain>(&notes);
      if (kPlain && kEntropy && !team.valid) team.forget_invalid_labels();
      if (kMayBeProbabilities && !softmax && !sigmoid) {
#pragma unroll
        for (int i = 0; i < kC; i++) {
          if (i >= team.mine) continue;
#pragma unroll
          for (int j = 0; j < kV; j++) {
            check_probability(in, kPlain ? A(1) : team.weight[j], team.z[i][j], team.index(i, j), notes.own());
          }
        }
      }
      team.to_next_round();
      if (kAhead && team.template has_round<kPlain>()) team.template request<kRounds>();
      else if (kAhead) team.request_none();
      if (softmax) softmax_of<kPlain>(team, sums);
      else if (sigmoid) {
        if constexpr (kPlain && kEntropy) sigmoid_with_entropy(team, sums);
        else if (kEntropy && (!kDense || in.cross_entropy)) sigmoid_of<kPlain, kEntropy>(team, sums);
        else sigmoid_of<kPlain, false>(team, sums);
      }
      if (in.squared) sums.template add<true, kPlain>(team);
      else sums.template add<false, kPlain>(team);
    }
  };
  if constexpr (!kDense) {
    // With four classes the loops would spill registers.
    if (team.plain && (!kEntropy || in.entropy_of_all)) team.template for_plain_rounds<kC == 2>(take_rounds);
  }
  take_rounds(std::integral_constant<Rounds, Rounds::any>{});

  constexpr int kKinds = 3 + kEntropy + kDense;
  A all[kKinds * kC + 1];
#pragma unroll
  for (int i = 0; i < kC; i++) {
    all[i * kKinds] = sums.intersection[i];
    all[i * kKinds + 1] = sums.prediction[i];
    all[i * kKinds + 2] = sums.target[i];
    if constexpr (kEntropy) all[i * kKinds + 3] = sums.entropy[i];
    if constexpr (kDense) all[i * kKinds + 3 + kEntropy] = sums.volume[i];
  }
  all[kKinds * kC] = sums.weight;
  for_block_sums(shape, team.seat, all, [&](int member) {
    const Share<kC> share(in, shape, member);
    // Asked for anew: else these would take registers in the loops above.
    const int n = anew(static_cast<int>(team.n)), chunk_index = anew(static_cast<int>(team.chunk_index));
    Sums* const own = partials + (n * in.classes + share.first) * shape.chunks + chunk_index;
    return [=, &shape](int slot, double sum) {
      const int i = slot / kKinds, kind = slot % kKinds;
      if (i == kC) {  // what the classes have in common
        for (int k = 0; k < share.mine; k++) {
          Sums& to = own[k * shape.chunks];
          to.weight = sum;
          if (!kEntropy) to.cross_entropy = 0;
          to.uniform = to.focal = 0;
        }
        return;
      }
      if (i >= share.mine) return;
      Sums& to = own[i * shape.chunks];
      if (kind == 0) to.intersection = sum;
      else if (kind == 1) to.prediction = sum;
      else if (kind == 2) to.target = sum;
      else if (kind == 3 && kEntropy) to.cross_entropy = sum;
      if (kind == (kDense ? kKinds - 1 : 2)) to.volume = sum;
    };
  });
}

}  // namespace warpdice::cuda
