#pragma once
// Step 3 by teams (team.cuh).
#include "cuda/kernels/team.cuh"

namespace warpdice::cuda {

/// dL/dp of a class. Of a dense target it is slope*(p - t) + at_target*t + elsewhere. Of labels it is slope*(p - t),
/// and at_target or elsewhere; under a softmax, whose 1 - p is no more exact than p, slope*p, and at_target or
/// elsewhere.
template <class A>
struct TeamSlope {
  A slope, at_target, elsewhere, cross_entropy;
};

/// Stores z, the gradient of a round, as type T. whole: stores of whole rows are aligned, and all voxels exist.
template <class T, Rounds kRounds, class P, int kC, int kV, bool kDense>
__device__ void store_round_as(Team<P, kC, kV, kDense>& team, const GradientOut& out, bool whole) {
  constexpr int kRow = Team<P, kC, kV, kDense>::kRow;
  T* to = static_cast<T*>(out.data) + team.at;
  if (kRounds == Rounds::any && out.accumulate) {
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if (i < team.mine && j < team.count) team.z[i][j] += widen(to[i * team.class_step() + j * team.voxel_step()]);
      }
    }
  }
  if (whole && !team.template interleaved<kRounds>()) {
#pragma unroll
    for (int i = 0; i < kC; i++) {
      T row[kV];
#pragma unroll
      for (int j = 0; j < kV; j++) narrow(team.z[i][j], row[j]);
      if (i + 1 < kC || team.mine == kC) stream_whole(to + i * team.class_step(), row);
    }
  } else if (whole && team.mine == kC) {
#pragma unroll
    for (int j = 0; j < kV; j++) {
#pragma unroll
      for (int i = 0; i < kC; i += kRow) {
        T row[kRow];
#pragma unroll
        for (int k = 0; k < kRow; k++) narrow(team.z[i + k][j], row[k]);
        stream_whole(to + j * team.voxel_step() + i, row);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if (i < team.mine && j < team.count) {
          narrow(team.z[i][j], to[i * team.class_step() + j * team.voxel_step()]);
        }
      }
    }
  }
}

/// whole: stores of whole rows are aligned.
template <class P, int kC, int kV, bool kDense>
__device__ void store_round(Team<P, kC, kV, kDense>& team, const GradientOut& out, bool whole) {
  if constexpr (sizeof(P) == 2) {
    if (out.dtype == DType::float32) return store_round_as<float, Rounds::any>(team, out, false);
  }
  store_round_as<P, Rounds::any>(team, out, whole && team.count >= kV);
}

/// slopes: [groups, C]. A thread has read all that it writes, so the gradient may replace the logits.
template <class P, int kC, bool kDense, bool kEntropy>
__global__ void __launch_bounds__(kThreads, kNeedsRegisters ? 1 : kGradientBlocks<kC, kEntropy>)
    team_gradient_kernel(Inputs in, TeamShape shape, const ClassSlope<Accumulator<P>>* slopes, bool pooled,
                         GradientOut out) {
  using A = Accumulator<P>;
  constexpr int kV = kGradientVoxels<P, kC>;
  know<kC>(shape);
  // The last voxels first: those the statistics have read last.
  Team<P, kC, kV, kDense> team(in, shape, gridDim.x - 1 - blockIdx.x);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  slopes += (pooled ? 0 : team.n * in.classes) + team.first;
  TeamSlope<A> of[kC] = {};
#pragma unroll
  for (int i = 0; i < kC; i++) {
    if (i >= team.mine) continue;
    const auto& [slope, at_target, constant] = slopes[i].prediction;
    of[i] = {slope, kDense ? at_target : at_target + constant, constant, kEntropy ? slopes[i].cross_entropy : A(0)};
    if (!kDense && softmax) of[i].at_target -= slope;
  }
  // p - t, as difference() has it. complement: 1 - p.
  const auto error_at = [&](int i, int j, A p, A complement) {
    if constexpr (kDense) return softmax || team.t[i][j] != 1 ? p - team.t[i][j] : -complement;
    else return team.slot[j] == i ? -complement : p;
  };
  // dL/dp. error: p - t, or p where TeamSlope says so.
  const auto slope_at = [&](int i, int j, A error) {
    // Copies: a choice between the members themselves is one of addresses, of which nvcc 13.0 makes twice to three
    // times the instructions for sm_100 and sm_120.
    const A at_target = of[i].at_target, elsewhere = of[i].elsewhere;
    A more;
    if constexpr (kDense) more = team.t[i][j] * at_target + elsewhere;
    else more = team.slot[j] == i ? at_target : elsewhere;
    return error * of[i].slope + more;
  };
  // What the cross-entropy of a softmax subtracts.
  const auto entropy_at = [&](int i, int j) {
    const A cross_entropy = of[i].cross_entropy;  // a copy, as above
    if constexpr (kDense) return team.t[i][j] * cross_entropy;
    else return team.slot[j] == i ? cross_entropy : A(0);
  };

  const bool whole = team.aligned && is_aligned<16>(out.data);
  const auto take_rounds = [&](auto rounds) {
    constexpr Rounds kRounds = decltype(rounds)::value;
    constexpr bool kPlain = kRounds != Rounds::any;
#pragma unroll 1
    for (; team.template has_round<kPlain>(); team.to_next_round()) {
      team.template request<kRounds, true>();
      team.template take<kPlain>(nullptr);
      if (softmax) {
        A largest[kV], inverse[kV], mean[kV] = {};
        team.template find_largest<true>(largest);
        team.exponentials(largest, inverse);
        team.template sum_over_team<true>(inverse, 1, [](A sum) { return fast_reciprocal(sum); });
#pragma unroll
        for (int j = 0; j < kV; j++) {
#pragma unroll
          for (int i = 0; i < kC; i++) team.z[i][j] *= inverse[j];
#pragma unroll
          for (int i = 0; i < kC; i++) {
            const A p = team.z[i][j];
            mean[j] += p * slope_at(i, j, kDense ? error_at(i, j, p, 1 - p) : p);
            if (kEntropy) mean[j] -= entropy_at(i, j);
          }
        }
        team.template sum_over_team<true>(mean, 2, [](A sum) { return sum; });
#pragma unroll
        for (int j = 0; j < kV; j++) {
#pragma unroll
          for (int i = 0; i < kC; i++) {
            const A p = team.z[i][j];
            A dz = p * (slope_at(i, j, kDense ? error_at(i, j, p, 1 - p) : p) - mean[j]);
            if (kEntropy) dz -= entropy_at(i, j);
            team.z[i][j] = dz;
          }
        }
      } else {
#pragma unroll
        for (int i = 0; i < kC; i++) {
#pragma unroll
          for (int j = 0; j < kV; j++) {
            const Probability<A> x = pointwise<false>(sigmoid, team.z[i][j]);
            A dz = slope_at(i, j, error_at(i, j, x.p, x.complement));
            if (sigmoid) dz *= x.p * x.complement;
            if (kEntropy && sigmoid) dz += of[i].cross_entropy * error_at(i, j, x.p, x.complement);
            team.z[i][j] = dz;
          }
        }
      }
      if (!kPlain && team.weighted) {
#pragma unroll
        for (int j = 0; j < kV; j++) {
#pragma unroll
          for (int i = 0; i < kC; i++) team.z[i][j] = team.weight[j] == 0 ? A(0) : team.weight[j] * team.z[i][j];
        }
      }
      if constexpr (kPlain) store_round_as<P, kRounds>(team, out, true);
      else store_round(team, out, whole);
    }
  };
  if constexpr (!kDense) {
    if (team.plain && whole && !out.accumulate && (sizeof(P) != 2 || out.dtype != DType::float32))
      team.template for_plain_rounds<true>(take_rounds);
  }
  take_rounds(std::integral_constant<Rounds, Rounds::any>{});
}

}  // namespace warpdice::cuda
