#pragma once
// One class at one voxel: what it adds to the sums, and the slope of the loss there (../dice.h has the formulas).
//
// kFull: every overlap and the sums E, U and F. Else the overlap is a product and the target labels, with fewer
// registers and operations.
#include "cuda/kernels/voxel.cuh"

namespace warpdice::cuda {

template <class A>
struct Point {
  A p, complement;                // 1 - p, which does not cancel under a sigmoid
  A neg_log, neg_log_complement;  // kFull: -log p; under a sigmoid also -log(1-p)
};

/// none: p = z; sigmoid: p = 1 / (1 + e^-z), p and 1-p from e^-|z|, so that nothing overflows.
template <bool kFull, class A>
__device__ Point<A> pointwise(bool sigmoid, A z) {
  if (!sigmoid) return {z, 1 - z, 0, 0};
  const A e = fast_exp(-fabs(z)), larger = fast_reciprocal(1 + e), smaller = e * larger;
  Point<A> at = {z < 0 ? smaller : larger, z < 0 ? larger : smaller, 0, 0};
  if constexpr (kFull) {
    const A both = log1p(e);
    at.neg_log = both + (z < 0 ? -z : 0);
    at.neg_log_complement = both + (z > 0 ? z : 0);
  }
  return at;
}

/// What the classes of a voxel share: p_c = e^(z_c - largest) * inverse, -log p_c = log_sum - (z_c - largest).
template <class A>
struct Softmax {
  A largest, inverse, log_sum;

  __device__ Point<A> at(A z) const {
    const A below = z - largest, p = fast_exp(below) * inverse;
    return {p, 1 - p, log_sum - below, 0};
  }
};

/// x^g for x in [0,1], 0^0 = 1.
template <class A>
__device__ A focal_power(A x, A g) {
  return g == 2 ? x * x : g == 1 ? x : g == 0 ? A(1) : fast_pow(x, g);
}

/// h = -p * d/dp of (1-p)^g * -log p = (1-p)^g + g*p*(1-p)^(g-1)*-log p; finite at p = 0 and 1.
template <class A>
__device__ A focal_slope(A p, A complement, A neg_log, A g) {
  if (g == 0 || p == 0) return 1;
  if (complement == 0) return 0;
  return focal_power(complement, g) + g * p * focal_power(complement, g - 1) * neg_log;
}

// --- the sums ---------------------------------------------------------------------------------------------

/// The sums of one class over a few voxels in A; the caller adds them up in double. Without kFull V is T.
template <class A, bool kFull>
struct Terms {
  A intersection = 0, prediction = 0, target = 0, weight = 0;
  A volume = 0, cross_entropy = 0, uniform = 0, focal = 0;

  __device__ void add_label(const Inputs& in, A w, A p, bool hit) {
    p = w != 0 ? p : 0;  // it may be NaN
    const A wp = w * p;
    intersection += hit ? wp : 0;
    prediction += in.squared ? wp * p : wp;
    target += hit ? w : 0;
    weight += w;
  }

  /// cost: sum_j M[c,j]*p_j, for Overlap::wasserstein.
  __device__ void add(const Inputs& in, A w, const Point<A>& at, A t, A cost) {
    if (w == 0) return;
    const A p = at.p, least = p < t || p != p ? p : t;  // NaN stays NaN
    intersection += w * (in.overlap == Overlap::product ? p * t : in.overlap == Overlap::minimum ? least : t * cost);
    prediction += w * (in.squared ? p * p : p);
    target += w * (in.squared ? t * t : t);
    volume += w * t;
    weight += w;
    const bool sigmoid = in.activation == Activation::sigmoid;
    const A other = sigmoid ? 1 - t : 0, g = static_cast<A>(in.focal_gamma);
    // A part of no target adds nothing even where its logarithm is infinite.
    if (in.cross_entropy) {
      cross_entropy += w * ((t != 0 ? t * at.neg_log : 0) + (other != 0 ? other * at.neg_log_complement : 0));
    }
    if (in.uniform) uniform += w * (sigmoid ? (at.neg_log + at.neg_log_complement) / 2 : at.neg_log);
    if (in.focal) {
      focal += w * ((t != 0 ? t * focal_power(at.complement, g) * at.neg_log : 0) +
                    (other != 0 ? other * focal_power(p, g) * at.neg_log_complement : 0));
    }
  }
};

/// to: Sums, or Terms.
template <class To, class A, bool kFull>
__device__ void add(To& to, const Terms<A, kFull>& terms) {
  to.intersection += terms.intersection;
  to.prediction += terms.prediction;
  to.target += terms.target;
  to.weight += terms.weight;
  if constexpr (kFull) {
    to.volume += terms.volume;
    to.cross_entropy += terms.cross_entropy;
    to.uniform += terms.uniform;
    to.focal += terms.focal;
  }
}

// --- the gradient -----------------------------------------------------------------------------------------

/// dL/dp of one class before the voxel's weight: slope*(p - t) + at_target*t + constant, and what else kFull has.
///
/// As dice.h writes it, it is dI*t + slope*p + constant. Near a match those two cancel; here at_target = dI + slope
/// is added in double, and p - t is exact.
template <class A>
struct alignas(16) Slope {
  A slope, at_target, constant;
  A overlap;  // dI
  A cross_entropy, uniform, focal;
  A target_slope, target_constant;  // of dL/dt: dT*k*t^(k-1) + dV

  __device__ A at(A t, A difference) const { return slope * difference + (at_target * t + constant); }

  /// difference: p - t, as exactly as it is known. cost: sum_k dI_k*t_k*M[k,c], for Overlap::wasserstein.
  __device__ A at(const Inputs& in, A t, A difference, A cost) const {
    const A below = difference < 0 ? A(1) : difference == 0 ? t : A(0);
    return at(t, difference) + (in.overlap == Overlap::minimum ? overlap * below : cost);
  }

  /// dL/dt before the voxel's weight. cost: sum_j M[c,j]*p_j, for Overlap::wasserstein.
  __device__ A for_target(const Inputs& in, const Point<A>& x, A t, A cost) const {
    const A below = t < x.p ? A(1) : t == x.p ? x.p : A(0);
    const A of_overlap = in.overlap == Overlap::product ? x.p : in.overlap == Overlap::minimum ? below : cost;
    A sum = overlap * of_overlap + (target_slope * t + target_constant);
    const A g = static_cast<A>(in.focal_gamma);
    // Under a softmax the logarithm of the complement is 0, and so is its part. A slope of 0 stays 0 at p = 0.
    if (cross_entropy != 0) sum += cross_entropy * (x.neg_log - x.neg_log_complement);
    if (focal != 0) {
      sum += focal * (focal_power(x.complement, g) * x.neg_log - focal_power(x.p, g) * x.neg_log_complement);
    }
    return sum;
  }

  /// q = dE*t + dU + dF*t*h(p): dz_c += w*(p_c*sum_j q_j - q_c) under a softmax.
  __device__ A under_softmax(const Inputs& in, const Point<A>& point, A t) const {
    A q = cross_entropy * t + uniform;
    if (in.focal && t != 0) {
      q += focal * t * focal_slope(point.p, point.complement, point.neg_log, static_cast<A>(in.focal_gamma));
    }
    return q;
  }

  /// What E, U and F add to dz under a sigmoid: dE*(p-t) + dU*(p-1/2) + dF*((1-t)*p*h(1-p) - t*(1-p)*h(p)).
  __device__ A under_sigmoid(const Inputs& in, const Point<A>& x, A t, A difference) const {
    A q = cross_entropy * difference + uniform * ((x.p - x.complement) / 2);
    if (in.focal) {
      const A g = static_cast<A>(in.focal_gamma);
      q += focal * ((1 - t) * x.p * focal_slope(x.complement, x.p, x.neg_log_complement, g) -
                    t * x.complement * focal_slope(x.p, x.complement, x.neg_log, g));
    }
    return q;
  }
};

template <class A>
__device__ Slope<A> slope_of(const Inputs& in, const Coefficients& d) {
  const double slope = in.squared ? 2 * d.prediction : 0, constant = in.squared ? 0 : d.prediction;
  const double at_target = slope + (in.overlap == Overlap::product ? d.intersection : 0);
  const double target_slope = in.squared ? 2 * d.target : 0, target_constant = (in.squared ? 0 : d.target) + d.volume;
  return {static_cast<A>(slope),          static_cast<A>(at_target),       static_cast<A>(constant),
          static_cast<A>(d.intersection), static_cast<A>(d.cross_entropy), static_cast<A>(d.uniform),
          static_cast<A>(d.focal),        static_cast<A>(target_slope),    static_cast<A>(target_constant)};
}

/// p - t. At t = 1 the complement has digits that p has not.
template <class A>
__device__ A difference(const Point<A>& at, A t) {
  return t == 1 ? -at.complement : at.p - t;
}

}  // namespace warpdice::cuda
