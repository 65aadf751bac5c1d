#pragma once
// One class at one voxel: what it adds to the sums (math/types.h), and the slope of the loss there (math/slope.h).
#include "cuda/kernels/voxel.cuh"
#include "math/slope.h"

namespace warpdice::cuda {

template <class A>
struct Probability {
  A p, complement;             // complement: 1 - p. Under a sigmoid it is exact where p is near 1
  A neg_log_p, neg_log_not_p;  // -log p, and under a sigmoid -log(1-p); set where they are asked for
};

/// p = 1 / (1 + e^-z) under a sigmoid, else p = z. Both p and 1-p come from e^-|z|, so that nothing overflows.
template <bool kLogarithms, class A>
__device__ Probability<A> pointwise(bool sigmoid, A z) {
  if (!sigmoid) return {z, 1 - z, 0, 0};
  const A e = fast_exp(-fabs(z)), larger = fast_reciprocal(1 + e), smaller = e * larger;
  Probability<A> x = {z < 0 ? smaller : larger, z < 0 ? larger : smaller, 0, 0};
  if constexpr (kLogarithms) {
    const A both = log1p(e);
    x.neg_log_p = both + (z < 0 ? -z : 0);
    x.neg_log_not_p = both + (z > 0 ? z : 0);
  }
  return x;
}

/// What the classes of a voxel share. p_c = e^(z_c - largest) * inverse, and -log p_c = log_sum - (z_c - largest).
template <class A>
struct Softmax {
  A largest, inverse, log_sum;

  __device__ Probability<A> at(A z) const {
    const A below = z - largest, p = fast_exp(below) * inverse;
    return {p, 1 - p, log_sum - below, 0};
  }
};

/// x^g for x in [0,1], 0^0 = 1.
template <class A>
__device__ A focal_power(A x, A g) {
  return g == 2 ? x * x : g == 1 ? x : g == 0 ? A(1) : fast_pow(x, g);
}

/// h(p) = -p * d/dp((1-p)^g * -log p) = (1-p)^g + g*p*(1-p)^(g-1)*-log p. It is finite at p = 0 and p = 1.
template <class A>
__device__ A focal_slope(A p, A complement, A neg_log_p, A g) {
  if (g == 0 || p == 0) return 1;
  if (complement == 0) return 0;
  return focal_power(complement, g) + g * p * focal_power(complement, g - 1) * neg_log_p;
}

/// Of -log p in E and U, and of the terms of t and of 1-t in F. Ones where a kernel has no code for others.
template <class A>
struct TermFactors {
  A entropy = 1, focal = 1, focal_rest = 1;
};

/// Those of class c.
template <class A>
__device__ TermFactors<A> term_factors(const Inputs& in, int c) {
  TermFactors<A> of;
  if (in.positive_weight.factors) of.entropy = static_cast<A>(in.positive_weight.at(c));
  if (in.focal_alpha.factors) {
    of.focal = static_cast<A>(in.focal_alpha.at(c));
    of.focal_rest = static_cast<A>(1 - in.focal_alpha.at(c));
  }
  return of;
}

// --- the sums ---------------------------------------------------------------------------------------------

/// The sums of one class over a few voxels, in A. The caller adds them up in double.
template <class A>
struct VoxelSums {
  A intersection = 0, prediction = 0, target = 0, weight = 0;
  A volume = 0, cross_entropy = 0, uniform = 0, focal = 0;

  /// cost: sum_j M[c,j]*p_j, for Overlap::wasserstein.
  __device__ void add(const Inputs& in, A w, const Probability<A>& x, A t, A cost, const TermFactors<A>& of = {}) {
    if (w == 0) return;
    const A p = x.p, smaller = p < t || p != p ? p : t;  // NaN stays NaN
    intersection += w * (in.overlap == Overlap::product ? p * t : in.overlap == Overlap::minimum ? smaller : t * cost);
    prediction += w * (in.squared ? p * p : p);
    target += w * (in.squared ? t * t : t);
    volume += w * t;
    weight += w;
    const bool sigmoid = in.activation == Activation::sigmoid;
    A other = sigmoid ? 1 - t : 0, g = static_cast<A>(in.focal_gamma);
    // Where the target is 0 the term adds nothing, even if its logarithm is infinite.
    if (in.cross_entropy) {
      const A entropy = of.entropy != 0 ? of.entropy * x.neg_log_p : 0;
      cross_entropy += w * ((t != 0 ? t * entropy : 0) + (other != 0 ? other * x.neg_log_not_p : 0));
    }
    if (in.uniform) {
      const A entropy = of.entropy != 0 ? of.entropy * x.neg_log_p : 0;
      uniform += w * (sigmoid ? (entropy + x.neg_log_not_p) / 2 : x.neg_log_p);
    }
    if (in.focal) {
      t *= of.focal;
      other *= of.focal_rest;
      focal += w * ((t != 0 ? t * focal_power(x.complement, g) * x.neg_log_p : 0) +
                    (other != 0 ? other * focal_power(p, g) * x.neg_log_not_p : 0));
    }
  }
};

/// to: Sums, or VoxelSums.
template <class To, class A>
__device__ void add(To& to, const VoxelSums<A>& few) {
  to.intersection += few.intersection;
  to.prediction += few.prediction;
  to.target += few.target;
  to.weight += few.weight;
  to.volume += few.volume;
  to.cross_entropy += few.cross_entropy;
  to.uniform += few.uniform;
  to.focal += few.focal;
}

// --- the gradient -----------------------------------------------------------------------------------------

/// What step 3 needs of one class. finish_kernel makes it from the coefficients.
template <class A>
struct alignas(16) ClassSlope {
  PredictionSlope<A> prediction;
  A overlap;  // dI
  A cross_entropy, uniform, focal;
  TargetSlope<A> target;

  /// dL/dp before the voxel's weight. difference: p - t, as exactly as it is known. cost: sum_k dI_k*t_k*M[k,c], for
  /// Overlap::wasserstein.
  __device__ A at(const Inputs& in, A t, A difference, A cost) const {
    const A below = difference < 0 ? A(1) : difference == 0 ? t : A(0);
    return prediction.at(t, difference) + (in.overlap == Overlap::minimum ? overlap * below : cost);
  }

  /// dL/dt before the voxel's weight. cost: sum_j M[c,j]*p_j, for Overlap::wasserstein.
  __device__ A for_target(const Inputs& in, const Probability<A>& x, A t, A cost, const TermFactors<A>& of) const {
    const A below = t < x.p ? A(1) : t == x.p ? x.p : A(0);
    const A of_overlap = in.overlap == Overlap::product ? x.p : in.overlap == Overlap::minimum ? below : cost;
    A sum = overlap * of_overlap + target.at(t);
    const A g = static_cast<A>(in.focal_gamma);
    // Under a softmax neg_log_not_p is 0, and so is its part. A slope of 0 stays 0 where neg_log_p is infinite.
    if (cross_entropy != 0) {
      sum += cross_entropy * ((of.entropy != 0 ? of.entropy * x.neg_log_p : 0) - x.neg_log_not_p);
    }
    if (focal != 0) {
      sum += focal * ((of.focal != 0 ? of.focal * focal_power(x.complement, g) * x.neg_log_p : 0) -
                      (of.focal_rest != 0 ? of.focal_rest * focal_power(x.p, g) * x.neg_log_not_p : 0));
    }
    return sum;
  }

  /// What E, U and F add under a softmax is dz_c = w*(p_c*sum_j q_j - q_c) with q = dE*t + dU + dF*t*h(p). Returns q.
  __device__ A under_softmax(const Inputs& in, const Probability<A>& x, A t, const TermFactors<A>& of = {}) const {
    A q = cross_entropy * t + uniform;
    if (in.focal && t != 0) {
      q += of.focal * focal * t * focal_slope(x.p, x.complement, x.neg_log_p, static_cast<A>(in.focal_gamma));
    }
    return q;
  }

  /// What E, U and F add to dz under a sigmoid: dE*(p-t) + dU*(p-1/2) + dF*((1-t)*p*h(1-p) - t*(1-p)*h(p)), without the
  /// factors `of` terms.
  __device__ A under_sigmoid(const Inputs& in, const Probability<A>& x, A t, A difference,
                             const TermFactors<A>& of = {}) const {
    if (of.entropy != 1) difference -= (of.entropy - 1) * t * x.complement;
    A q = cross_entropy * difference + uniform * ((x.p - of.entropy * x.complement) / 2);
    if (in.focal) {
      const A g = static_cast<A>(in.focal_gamma);
      q += focal * (of.focal_rest * (1 - t) * x.p * focal_slope(x.complement, x.p, x.neg_log_not_p, g) -
                    of.focal * t * x.complement * focal_slope(x.p, x.complement, x.neg_log_p, g));
    }
    return q;
  }
};

template <class A>
__device__ ClassSlope<A> class_slope(const Inputs& in, const Coefficients& d) {
  return {prediction_slope<A>(in, d), static_cast<A>(d.intersection), static_cast<A>(d.cross_entropy),
          static_cast<A>(d.uniform),  static_cast<A>(d.focal),        target_slope<A>(in, d)};
}

/// p - t. At t = 1 it is the complement, which may be more exact than p.
template <class A>
__device__ A difference(const Probability<A>& x, A t) {
  return t == 1 ? -x.complement : x.p - t;
}

}  // namespace warpdice::cuda
