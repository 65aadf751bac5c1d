#pragma once
// Steps 1 and 3 for sigmoid and without activation: each class by itself.
#include "cpu/kernels/steps.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// p = 1 / (1 + e^-z) and 1-p, both computed from the smaller one, so that nothing overflows or cancels.
template <class T>
struct Sigmoid {
  Vec<T> p, complement, product;

  /// sign: z, or the kept value, which is the smaller one with the sign of z.
  WARPDICE_INLINE Sigmoid(Vec<T> smaller, Vec<T> sign) {
    const Vec<T> larger = static_cast<T>(1) - smaller;
    const auto negative = bits_of<T>(sign) < 0;
    p = negative ? smaller : larger;
    complement = negative ? larger : smaller;
    product = smaller * larger;
  }
};

/// e = e^-|z| of one class of a step.
template <class T, class From>
WARPDICE_INLINE void exp_side(const View<T, From>& z, int64_t c, Vec<T> (&e)[kUnroll]) {
  for (int first = 0; first < kUnroll; first += kSideBySide) {
    Vec<T> x[kSideBySide];
    for (int i = 0; i < kSideBySide; i++) x[i] = minus_magnitude(z.get(c, first + i));
    exp_nonpositive(x);
    for (int i = 0; i < kSideBySide; i++) e[first + i] = x[i];
  }
}

/// The smaller of p and 1-p.
template <class T>
WARPDICE_INLINE Vec<T> smaller_side(Vec<T> e) {
  return e / (static_cast<T>(1) + e);
}

/// t*max(-z, 0) + (1-t)*max(z, 0). NaN for NaN.
template <class T, class Target, class From>
WARPDICE_INLINE Vec<T> logit_loss(const Steps<T, Target, From>& steps, int64_t c, int u, Vec<T> z) {
  const Vec<T> zero = {};
  if constexpr (Target::kLabels) {
#if defined(__AVX512F__)
    return max(zero, steps.target.select(c, u, -z, z));
#else
    const Mask<T> right = steps.target.is(c, u) ^ (bits_of<T>(z) < 0);  // no select, which is two instructions there
    return right ? zero : magnitude(z);
#endif
  }
  const Vec<T> t = steps.target.get(c, u), other = static_cast<T>(1) - t;
  return (t == zero ? zero : t * max(zero, -z)) + (other == zero ? zero : other * max(zero, z));
}

/// Steps that share one logarithm, of the product of their 1+e, which is at most 2^(8 * kUnroll).
constexpr int64_t kSharingSteps = 8;

/// Adds one class of one step to E and U: -log p = log(1+e) + max(-z, 0) and -log(1-p) = log(1+e) + max(z, 0), with e =
/// e^-|z|. Without weights the logarithms are add_logarithms()'s.
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE void add_logit_loss(const Steps<T, Target, From>& steps, int64_t c, const Vec<T> (&e)[kUnroll],
                                    Totals& totals) {
  Vec<T> x[kUnroll];
  for (int u = 0; u < kUnroll; u++) {
    x[u] = logit_loss(steps, c, u, steps.z.get(c, u));
    if constexpr (kWeighted) x[u] += log_one_plus<T>(e[u]);
  }
  if constexpr (kWeighted) weigh<T>(steps.weight, x);
  totals.cross_entropy += tree_sum<T>(x);
  if (!steps.uniform) return;
  for (int u = 0; u < kUnroll; u++) {
    x[u] = magnitude(steps.z.get(c, u)) * static_cast<T>(0.5);
    if constexpr (kWeighted) x[u] += log_one_plus<T>(e[u]);
  }
  if constexpr (kWeighted) weigh<T>(steps.weight, x);
  totals.uniform += tree_sum<T>(x);
}

/// Adds log(1+e) for all vectors of up to kSharingSteps steps. excess: the product of 1+e, minus 1.
template <class T>
WARPDICE_INLINE void add_logarithms(bool uniform, Vec<T> excess, Totals& totals) {
  const Vec<double> shared = widen_sum(log_of_excess<T>(excess));
  totals.cross_entropy += shared;
  if (uniform) totals.uniform += shared;
}

/// Adds step i, one class, to E and U. excess: of the class, kept from step to step.
template <class T, class Target, class From>
WARPDICE_INLINE void add_entropy(const Steps<T, Target, From>& steps, int64_t i, int64_t c, const Vec<T> (&e)[kUnroll],
                                 Vec<T>& excess, Totals& totals) {
  if constexpr (Steps<T, Target, From>::kWeighable) {
    if (steps.weight) return add_logit_loss<T, true>(steps, c, e, totals);
  }
  add_logit_loss<T, false>(steps, c, e, totals);
  const Vec<T> of_step = excess_of_product<T>(e);
  excess = i % kSharingSteps == 0 ? of_step : excess_of_product<T>(excess, of_step);
  if ((i + 1) % kSharingSteps == 0 || i + 1 == steps.count) add_logarithms<T>(steps.uniform, excess, totals);
}

/// Step 1 without activation. totals: [C], added to. k and the presence of weights are constants here: this pass does
/// so little else that asking for them in the loop takes up to 7% more time with AVX2. Seen: Extremes, except in the
/// benchmark.
template <class T, bool kSquared, bool kWeighted, class Target, class From, class Seen>
void plain_statistics(Steps<T, Target, From> steps, Totals* totals, Seen* all_seen) {
  // What is smaller, or staged, is in the second-level cache or soon there.
  constexpr int64_t kSmallBytes = 256 << 10;
  const bool prefetches = steps.classes * steps.z.class_stride * static_cast<int64_t>(sizeof(From)) > kSmallBytes;
  Seen seen;
  for (int64_t i = 0; i < steps.count; i++, steps.next()) {
    for (int64_t c = 0; c < steps.classes; c++) {
      Vec<T> p[kUnroll];
      if (prefetches) steps.z.prefetch(c);
      for (int u = 0; u < kUnroll; u++) p[u] = steps.z.get(c, u);
      add_terms<T, kSquared, kWeighted, true>(steps, c, p, totals[c], seen);
    }
  }
  all_seen->add(seen);
}

/// Step 1 of sigmoid. totals: [C], added to. excess: [C], scratch. kKeep: probabilities go to `probabilities`, see
/// Sink; asked for in the loop, that takes up to 20% more time with AVX2. kEntropy: E, or U, is made.
template <class T, bool kKeep, bool kEntropy, class Target, class From>
void sigmoid_statistics(Steps<T, Target, From> steps, Vec<T>* excess, Totals* totals, Sink<T> probabilities) {
  Extremes<T> seen;
  for (int64_t i = 0; i < steps.count; i++, steps.next(), probabilities.next()) {
    for (int64_t c = 0; c < steps.classes; c++) {
      Vec<T> p[kUnroll], kept[kUnroll], e[kUnroll];
      steps.z.prefetch(c);
      exp_side(steps.z, c, e);
      // Comes before p, so that fewer registers are needed.
      if constexpr (kEntropy) add_entropy(steps, i, c, e, excess[c], totals[c]);
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> z = steps.z.get(c, u), smaller = smaller_side<T>(e[u]);
        if constexpr (kKeep) kept[u] = with_sign(smaller, z);
        p[u] = Sigmoid<T>(smaller, z).p;
      }
      if constexpr (kKeep) probabilities.put(c, kept);
      add_step(steps, c, p, totals[c], seen);
    }
  }
  if constexpr (!Target::kLabels) steps.seen->add(seen);
}

/// dL/dz of E and U under a sigmoid is dE*(p-t) + dU*(p-1/2) = (dE+dU)*(p-t) + dU*(t-1/2). The second term, which few
/// losses have:
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE Vec<T> uniform_slope(const Steps<T, Target, From>& steps, const Slope<T>& slope, int64_t c, int u) {
  const T half = slope.uniform * static_cast<T>(0.5);
  Vec<T> g;
  if constexpr (Target::kLabels) g = steps.target.select(c, u, splat<T>(half), splat<T>(-half));
  else g = steps.target.get(c, u) * slope.uniform - half;
  return weighed<T, kWeighted>(steps, u, g);
}

/// dz = dp, times p*(1-p) for sigmoid. slopes: [C]. kKept: z is what step 1 kept. kEntropy: E, or U, has a slope.
template <class T, bool kSigmoid, bool kWeighted, bool kKept, bool kEntropy, class Target, class From, class To>
void pointwise_gradient(Steps<T, Target, From> steps, const Slope<T>* slopes, Sink<T, To> sink) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    for (int64_t c = 0; c < steps.classes; c++) {
      const Slope<T> slope = slopes[c];
      Vec<T> g[kUnroll], e[kUnroll];
      if constexpr (kSigmoid && !kKept) exp_side(steps.z, c, e);
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> z = steps.z.get(c, u);
        if constexpr (kSigmoid) {
          const Sigmoid<T> s(kKept ? magnitude(z) : smaller_side<T>(e[u]), z);
          const Vec<T> difference = minus_target<T, true>(steps, c, u, s.p, -s.complement);
          g[u] = slope_at<T, kWeighted>(steps, slope, c, u, difference) * s.product;
          if constexpr (kEntropy) g[u] += weighed<T, kWeighted>(steps, u, difference * slope.entropy_at_label);
        } else {
          g[u] = slope_at<T, kWeighted>(steps, slope, c, u, minus_target(steps, c, u, z, z - splat<T>(1)));
        }
      }
      if constexpr (kEntropy) {
        for (int u = 0; u < kUnroll && slope.uniform != 0; u++) g[u] += uniform_slope<T, kWeighted>(steps, slope, c, u);
      }
      for (int u = 0; u < kUnroll; u++) g[u] = only_weighted<T, kWeighted>(steps, u, g[u]);
      sink.put(c, g);
    }
  }
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
