#pragma once
// Steps 1 and 3 on whole steps of voxels: the arithmetic, for any dtype, layout and target.
//
// Classes are in the outer loop and a vector holds neighbouring voxels, so that nothing crosses lanes.
// Sums: eight vectors are added as a tree in T and then into double, so that constant inputs (whose
// rounding errors would all point the same way) stay exact.
#include "../finalize.h"
#include "convert.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Where class c of the first voxel of a step is: direct in the caller's array, or staged.
template <class T>
struct View {
  const T* data;
  int64_t class_stride;  // elements

  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const {
    return load<Vec<T>>(data + c * class_stride + u * Simd<T>::lanes);
  }

  /// Asks for what a step some steps ahead will read: with a stream per class the hardware does not see it coming.
  /// 1.5 kB ahead was best on a Zen 5 (of 0.5, 1 and 1.5), 20 to 30% on tensors beyond the cache.
  WARPDICE_INLINE void prefetch(int64_t c) const {
    constexpr int kAheadBytes = 1536, kLineBytes = 64, kStepBytes = kStep<T> * sizeof(T);
    const char* from = reinterpret_cast<const char*>(data + c * class_stride) + kAheadBytes;
    for (int at = 0; at < kStepBytes; at += kLineBytes) __builtin_prefetch(from + at);
  }
};

/// t from labels: one int32 per voxel; class c is label c + base, -1 is no class.
template <class T>
struct LabelTarget {
  static constexpr bool kLabels = true;
  const int32_t* labels;
  int32_t base;

  WARPDICE_INLINE Vec<T> select(int64_t c, int u, Vec<T> here, Vec<T> elsewhere) const {
    const auto label =
        __builtin_convertvector(load<typename Alike<T, int32_t>::V>(labels + u * Simd<T>::lanes), Mask<T>);
    return label == static_cast<typename Simd<T>::Int>(c + base) ? here : elsewhere;
  }
  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const { return select(c, u, splat<T>(1), Vec<T>{}); }
  WARPDICE_INLINE Vec<T> times(int64_t c, int u, Vec<T> p) const { return select(c, u, p, Vec<T>{}); }
  WARPDICE_INLINE void next_step() { labels += kStep<T>; }
};

/// t from an array like the predictions.
template <class T>
struct DenseTarget {
  static constexpr bool kLabels = false;
  View<T> view;

  WARPDICE_INLINE Vec<T> times(int64_t c, int u, Vec<T> p) const { return p * get(c, u); }
  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const { return view.get(c, u); }
  WARPDICE_INLINE void next_step() { view.data += kStep<T>; }
};

/// The sums of one class over a run, lane by lane.
struct Totals {
  Vec<double> intersection, prediction, target, volume, cross_entropy, uniform;
};

/// dL/dp before the voxel's weight: slope*(p - t) + at_target*t + constant.
///
/// As written in dice.h it is overlap*t + slope*p + constant. Near a match those two cancel; here
/// at_target = overlap + slope is added in double, and p - t is exact.
template <class T>
struct Slope {
  T slope, at_target, constant;
  T at_label;                // at_target + constant
  T cross_entropy, uniform;  // their coefficients
  T entropy_at_label;        // cross_entropy + uniform
};

/// What a pass works on; advanced by whole steps.
template <class T, class Target>
struct Steps {
  int64_t classes;
  int64_t count;  // steps
  View<T> z;      // logits or probabilities
  Target target;
  const T* weight;  // one per voxel; read by weighted passes only
  bool uniform;     // make the sum U

  WARPDICE_INLINE void next() {
    z.data += kStep<T>;
    target.next_step();
    if (weight) weight += kStep<T>;
  }
};

/// Where the gradient goes, or what step 1 keeps.
template <class T>
struct Sink {
  T* data;
  int64_t class_stride;
  bool streaming;

  WARPDICE_INLINE void put(int64_t c, const Vec<T> (&g)[kUnroll]) const {
    T* to = data + c * class_stride;
    if (streaming) {
      for (int u = 0; u < kUnroll; u++) stream(to + u * Simd<T>::lanes, g[u]);
    } else {
      for (int u = 0; u < kUnroll; u++) store(to + u * Simd<T>::lanes, g[u]);
    }
  }
};

template <class T>
WARPDICE_INLINE Vec<double> tree_sum(const Vec<T> (&x)[kUnroll]) {
  static_assert(kUnroll == 8, "the tree has eight leaves");
  return widen_sum(((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7])));
}

/// Adds one class of one step to its totals. T of unweighted labels is counted elsewhere (Runner), V apart from T
/// only where t^k is not t.
template <class T, bool kSquared, bool kWeighted, class Target>
WARPDICE_INLINE void add_step(const Steps<T, Target>& steps, int64_t c, const Vec<T> (&p)[kUnroll], Totals& totals) {
  constexpr bool kVolume = kSquared && !Target::kLabels;
  Vec<T> intersection[kUnroll], prediction[kUnroll], target[kUnroll], volume[kUnroll];
  const Vec<T> zero = {};
  for (int u = 0; u < kUnroll; u++) {
    if constexpr (kWeighted) {
      // Selected, not multiplied: a voxel without weight contributes nothing even if it is NaN.
      const Vec<T> w = load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
      const Vec<T> pu = w == zero ? zero : p[u], t = w == zero ? zero : steps.target.get(c, u);
      intersection[u] = w * pu * t;
      prediction[u] = kSquared ? w * pu * pu : w * pu;
      target[u] = kSquared ? w * t * t : w * t;
      if constexpr (kVolume) volume[u] = w * t;
    } else {
      intersection[u] = steps.target.times(c, u, p[u]);
      prediction[u] = kSquared ? p[u] * p[u] : p[u];
      if constexpr (!Target::kLabels) {
        const Vec<T> t = steps.target.get(c, u);
        target[u] = kSquared ? t * t : t;
        if constexpr (kVolume) volume[u] = t;
      }
    }
  }
  totals.intersection += tree_sum<T>(intersection);
  totals.prediction += tree_sum<T>(prediction);
  if constexpr (kWeighted || !Target::kLabels) totals.target += tree_sum<T>(target);
  if constexpr (kVolume) totals.volume += tree_sum<T>(volume);
}

/// Adds one class of one step to E and U. entropy: what a voxel adds to E; even: what it adds to U.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE void add_entropy(const Steps<T, Target>& steps, Vec<T> (&entropy)[kUnroll], Vec<T> (&even)[kUnroll],
                                 Totals& totals) {
  if constexpr (kWeighted) {
    const Vec<T> zero = {};
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> w = load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
      entropy[u] = w == zero ? zero : w * entropy[u];
      even[u] = w == zero ? zero : w * even[u];
    }
  }
  totals.cross_entropy += tree_sum<T>(entropy);
  if (steps.uniform) totals.uniform += tree_sum<T>(even);
}

/// t*x, and 0 for t = 0 even where x is infinite.
template <class T, class Target>
WARPDICE_INLINE Vec<T> share_of(const Steps<T, Target>& steps, int64_t c, int u, Vec<T> x) {
  if constexpr (Target::kLabels) return steps.target.times(c, u, x);
  const Vec<T> zero = {}, t = steps.target.get(c, u);
  return t == zero ? zero : t * x;
}

/// dL/dp of one class and vector. below_one: p - 1, as exactly as it is known.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE Vec<T> slope_at(const Steps<T, Target>& steps, const Slope<T>& slope, int64_t c, int u, Vec<T> p,
                                Vec<T> below_one) {
  Vec<T> dp;
  if constexpr (Target::kLabels) {
    dp = steps.target.select(c, u, below_one, p) * slope.slope +
         steps.target.select(c, u, splat<T>(slope.at_label), splat<T>(slope.constant));
  } else {
    const Vec<T> t = steps.target.get(c, u);
    dp = (p - t) * slope.slope + (t * slope.at_target + slope.constant);
  }
  if constexpr (!kWeighted) return dp;
  return dp * load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
}

/// The gradient is exactly 0 where the weight is.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE Vec<T> only_weighted(const Steps<T, Target>& steps, int u, Vec<T> g) {
  if constexpr (!kWeighted) return g;
  const Vec<T> zero = {};
  return load<Vec<T>>(steps.weight + u * Simd<T>::lanes) == zero ? zero : g;
}

// Step 1 can keep what its exponentials gave, and step 3 then start from that: where the gradient will be
// written, so that it costs no memory. Kept are p for softmax and, for sigmoid, e^-|z| with the sign of z.

// --- softmax: p_c = e^(z_c - m) / sum_j e^(z_j - m) with m = max_j z_j ------------------------------

/// What the classes of a voxel share.
template <class T>
struct Softmax {
  Vec<T> largest[kUnroll];  // m
  Vec<T> sum[kUnroll];      // of the numerators
};

/// numerators: e^(z - m), [C][kUnroll], which may lie where z does.
template <class T>
WARPDICE_INLINE Softmax<T> softmax(int64_t classes, const View<T>& z, Vec<T>* numerators) {
  Softmax<T> shared;
  Vec<T>(&m)[kUnroll] = shared.largest;
  Vec<T> sum[kUnroll] = {}, lost[kUnroll] = {};
  for (int u = 0; u < kUnroll; u++) m[u] = z.get(0, u);
  for (int64_t c = 0; c < classes; c++) {
    z.prefetch(c);
    for (int u = 0; u < kUnroll; u++) m[u] = max(z.get(c, u), m[u]);
  }
  // Groups of classes are added with compensation: many small terms beside the 1 of the largest class would
  // else be lost, all to the same side.
  constexpr int64_t kGroup = 8;
  for (int64_t first = 0; first < classes; first += kGroup) {
    const int64_t last = first + kGroup < classes ? first + kGroup : classes;
    Vec<T> part[kUnroll] = {};
    for (int64_t c = first; c < last; c++) {
      for (int first_u = 0; first_u < kUnroll; first_u += kSideBySide) {
        Vec<T> e[kSideBySide];
        for (int i = 0; i < kSideBySide; i++) e[i] = z.get(c, first_u + i) - m[first_u + i];
        exp_nonpositive(e);
        for (int i = 0; i < kSideBySide; i++) {
          numerators[c * kUnroll + first_u + i] = e[i];
          part[first_u + i] += e[i];
        }
      }
    }
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> next = sum[u] + part[u];
      lost[u] += part[u] - (next - sum[u]);
      sum[u] = next;
    }
  }
  for (int u = 0; u < kUnroll; u++) shared.sum[u] = sum[u] + lost[u];
  return shared;
}

/// -log p_c = (m - z_c) + log sum_j e^(z_j - m), which keeps the digits where z is large and is finite where p is 0.
/// totals: [C], added to. work: [C][kUnroll]; with kEntropy not where z is.
template <class T, bool kSquared, bool kWeighted, bool kKeep, bool kEntropy, class Target>
void softmax_statistics(Steps<T, Target> steps, Vec<T>* work, Totals* totals, Sink<T> keep) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), keep.data += kStep<T>) {
    const Softmax<T> shared = softmax(steps.classes, steps.z, work);
    Vec<T> inverse[kUnroll], log_sum[kUnroll];
    for (int u = 0; u < kUnroll; u++) {
      inverse[u] = static_cast<T>(1) / shared.sum[u];
      if constexpr (kEntropy) log_sum[u] = log_from_one(shared.sum[u]);
    }
    for (int64_t c = 0; c < steps.classes; c++) {
      if constexpr (kEntropy) {  // before z is replaced by what is kept
        Vec<T> entropy[kUnroll], even[kUnroll];
        for (int u = 0; u < kUnroll; u++) {
          even[u] = (shared.largest[u] - steps.z.get(c, u)) + log_sum[u];
          entropy[u] = share_of(steps, c, u, even[u]);
        }
        add_entropy<T, kWeighted>(steps, entropy, even, totals[c]);
      }
      Vec<T> p[kUnroll];
      for (int u = 0; u < kUnroll; u++) p[u] = work[c * kUnroll + u] * inverse[u];
      if constexpr (kKeep) keep.put(c, p);
      add_step<T, kSquared, kWeighted>(steps, c, p, totals[c]);
    }
  }
}

/// q_c = w*(dE_c*t_c + dU_c) of one class and vector.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE Vec<T> entropy_slope(const Steps<T, Target>& steps, const Slope<T>& slope, int64_t c, int u) {
  Vec<T> q;
  if constexpr (Target::kLabels) {
    q = steps.target.select(c, u, splat<T>(slope.entropy_at_label), splat<T>(slope.uniform));
  } else {
    q = steps.target.get(c, u) * slope.cross_entropy + slope.uniform;
  }
  if constexpr (!kWeighted) return q;
  return q * load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
}

/// dz_c = p_c * (dp_c - sum_j p_j dp_j + sum_j q_j) - q_c. slopes: [C]. p and dp: [C][kUnroll].
template <class T, bool kWeighted, bool kKept, bool kEntropy, class Target>
void softmax_gradient(Steps<T, Target> steps, const Slope<T>* slopes, Vec<T>* p, Vec<T>* dp, Sink<T> sink) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    Vec<T> inverse[kUnroll], mean[kUnroll] = {};
    if constexpr (!kKept) {
      const Softmax<T> shared = softmax(steps.classes, steps.z, p);
      for (int u = 0; u < kUnroll; u++) inverse[u] = static_cast<T>(1) / shared.sum[u];
    }
    for (int64_t c = 0; c < steps.classes; c++) {
      const Slope<T> slope = slopes[c];
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> pu = kKept ? steps.z.get(c, u) : p[c * kUnroll + u] * inverse[u];
        const Vec<T> dpu = slope_at<T, kWeighted>(steps, slope, c, u, pu, pu - splat<T>(1));
        p[c * kUnroll + u] = pu;
        dp[c * kUnroll + u] = dpu;
        mean[u] += pu * dpu;
        if constexpr (kEntropy) mean[u] -= entropy_slope<T, kWeighted>(steps, slope, c, u);
      }
    }
    for (int64_t c = 0; c < steps.classes; c++) {
      Vec<T> g[kUnroll];
      for (int u = 0; u < kUnroll; u++) {
        g[u] = p[c * kUnroll + u] * (dp[c * kUnroll + u] - mean[u]);
        if constexpr (kEntropy) g[u] -= entropy_slope<T, kWeighted>(steps, slopes[c], c, u);
        g[u] = only_weighted<T, kWeighted>(steps, u, g[u]);
      }
      sink.put(c, g);
    }
  }
}

// --- none and sigmoid: each class on its own --------------------------------------------------------

/// p = 1 / (1 + e^-z), from e = e^-|z| so that nothing overflows and 1-p does not cancel.
template <class T>
struct Sigmoid {
  Vec<T> p, complement;

  /// kept: e with the sign of z.
  WARPDICE_INLINE explicit Sigmoid(Vec<T> kept) {
    const Vec<T> e = magnitude(kept), larger = static_cast<T>(1) / (static_cast<T>(1) + e), smaller = e * larger;
    const auto negative = bits_of<T>(kept) < 0;
    p = negative ? smaller : larger;
    complement = negative ? larger : smaller;
  }
};

template <class T>
WARPDICE_INLINE Vec<T> sigmoid_kept(Vec<T> z) {
  return with_sign(exp_nonpositive(-magnitude(z)), z);
}

/// t*max(-z, 0) + (1-t)*max(z, 0).
template <class T, class Target>
WARPDICE_INLINE Vec<T> logit_loss(const Steps<T, Target>& steps, int64_t c, int u, Vec<T> z) {
  const Vec<T> zero = {}, positive = z > zero ? z : zero, negative = z < zero ? -z : zero;
  if constexpr (Target::kLabels) return steps.target.select(c, u, negative, positive);
  const Vec<T> t = steps.target.get(c, u), other = static_cast<T>(1) - t;
  return (t == zero ? zero : t * negative) + (other == zero ? zero : other * positive);
}

/// -log p = log(1+e) + max(-z, 0) and -log(1-p) = log(1+e) + max(z, 0). totals: [C], added to.
template <class T, bool kSigmoid, bool kSquared, bool kWeighted, bool kKeep, bool kEntropy, class Target>
void pointwise_statistics(Steps<T, Target> steps, Totals* totals, Sink<T> keep) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), keep.data += kStep<T>) {
    for (int64_t c = 0; c < steps.classes; c++) {
      Vec<T> p[kUnroll], kept[kUnroll], entropy[kUnroll], even[kUnroll];
      for (int u = 0; u < kUnroll; u++) {
        p[u] = steps.z.get(c, u);
        if constexpr (kSigmoid) {
          const Vec<T> z = p[u];
          kept[u] = sigmoid_kept<T>(z);
          p[u] = Sigmoid<T>(kept[u]).p;
          if constexpr (kEntropy) {
            const Vec<T> both = log_one_plus<T>(magnitude(kept[u]));
            entropy[u] = both + logit_loss(steps, c, u, z);
            even[u] = both + magnitude(z) * static_cast<T>(0.5);
          }
        }
      }
      if constexpr (kEntropy) add_entropy<T, kWeighted>(steps, entropy, even, totals[c]);
      if constexpr (kKeep) keep.put(c, kept);
      add_step<T, kSquared, kWeighted>(steps, c, p, totals[c]);
    }
  }
}

/// dL/dz of E and U under a sigmoid: dE*(p - t) + dU*(p - 1/2).
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE Vec<T> logit_slope(const Steps<T, Target>& steps, const Slope<T>& slope, int64_t c, int u,
                                   const Sigmoid<T>& s) {
  Vec<T> from_target;  // p - t
  if constexpr (Target::kLabels) from_target = steps.target.select(c, u, -s.complement, s.p);
  else from_target = s.p - steps.target.get(c, u);
  const Vec<T> g = from_target * slope.cross_entropy + (s.p - s.complement) * (slope.uniform * static_cast<T>(0.5));
  if constexpr (!kWeighted) return g;
  return g * load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
}

/// dz = dp, times p*(1-p) for sigmoid. slopes: [C].
template <class T, bool kSigmoid, bool kWeighted, bool kKept, bool kEntropy, class Target>
void pointwise_gradient(Steps<T, Target> steps, const Slope<T>* slopes, Sink<T> sink) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    for (int64_t c = 0; c < steps.classes; c++) {
      const Slope<T> slope = slopes[c];
      Vec<T> g[kUnroll];
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> z = steps.z.get(c, u);
        if constexpr (kSigmoid) {
          const Sigmoid<T> s(kKept ? z : sigmoid_kept<T>(z));
          g[u] = slope_at<T, kWeighted>(steps, slope, c, u, s.p, -s.complement) * (s.p * s.complement);
          if constexpr (kEntropy) g[u] += logit_slope<T, kWeighted>(steps, slope, c, u, s);
        } else {
          g[u] = slope_at<T, kWeighted>(steps, slope, c, u, z, z - splat<T>(1));
        }
        g[u] = only_weighted<T, kWeighted>(steps, u, g[u]);
      }
      sink.put(c, g);
    }
  }
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
