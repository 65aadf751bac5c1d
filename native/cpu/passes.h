#pragma once
// Steps 1 and 3 on whole steps of voxels: the arithmetic, for any dtype, layout and target.
//
// Classes are in the outer loop and a vector holds neighbouring voxels, so that nothing crosses lanes.
// Sums: four vectors are added as a tree in T and then into double, so that constant inputs (whose
// rounding errors would all point the same way) stay exact.
#include "../finalize.h"
#include "convert.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Where class c of the first voxel of a step is: direct in the caller's array, or staged.
template <class T>
struct View {
  const T* data;
  int64_t class_stride;  // elements
};

/// t from class indices; `labels` is one int32 per voxel, -1 for no class.
template <class T>
struct LabelTarget {
  const int32_t* labels;

  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const {
    const auto label =
        __builtin_convertvector(load<typename Alike<T, int32_t>::V>(labels + u * Simd<T>::lanes), Mask<T>);
    const Vec<T> one = splat<T>(1), zero = {};
    return label == static_cast<typename Simd<T>::Int>(c) ? one : zero;
  }
  WARPDICE_INLINE void next_step() { labels += kStep<T>; }
};

/// t from an array like the predictions.
template <class T>
struct DenseTarget {
  View<T> view;

  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const {
    return load<Vec<T>>(view.data + c * view.class_stride + u * Simd<T>::lanes);
  }
  WARPDICE_INLINE void next_step() { view.data += kStep<T>; }
};

/// The sums of one class over a run, lane by lane.
struct Totals {
  Vec<double> intersection, prediction, target;
};

/// dp = overlap*t + slope*p + constant: step 3's dL/dp before the voxel's weight.
template <class T>
struct Slope {
  T overlap, slope, constant;
};

/// What a pass works on; advanced by whole steps.
template <class T, class Target>
struct Steps {
  int64_t classes;
  int64_t count;    // steps
  View<T> z;        // logits or probabilities
  Target target;
  const T* weight;  // one per voxel; read by weighted passes only
  bool squared;

  WARPDICE_INLINE void next() {
    z.data += kStep<T>;
    target.next_step();
    if (weight) weight += kStep<T>;
  }
};

/// Where the gradient goes.
template <class T>
struct Sink {
  T* data;
  int64_t class_stride;
  bool streaming;

  WARPDICE_INLINE void put(int64_t c, int u, Vec<T> g) const {
    T* to = data + c * class_stride + u * Simd<T>::lanes;
    if (streaming) stream(to, g);
    else store(to, g);
  }
};

template <class T>
WARPDICE_INLINE Vec<double> tree_sum(const Vec<T> (&x)[kUnroll]) {
  return widen_sum((x[0] + x[1]) + (x[2] + x[3]));
}

/// Adds one class of one step to its totals.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE void add_step(const Steps<T, Target>& steps, int64_t c, const Vec<T> (&p)[kUnroll], Totals& totals) {
  Vec<T> intersection[kUnroll], prediction[kUnroll], target[kUnroll];
  const Vec<T> one = splat<T>(1), zero = {};
  const Mask<T> squared = Mask<T>{} - static_cast<typename Simd<T>::Int>(steps.squared);
  for (int u = 0; u < kUnroll; u++) {
    Vec<T> pu = p[u], t = steps.target.get(c, u), wt = t, wp = pu;
    if constexpr (kWeighted) {
      const Vec<T> w = load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
      // Selected, not multiplied: a voxel without weight contributes nothing even if it is NaN.
      pu = w == zero ? zero : pu;
      t = w == zero ? zero : t;
      wp = w * pu;
      wt = w * t;
    }
    intersection[u] = wp * t;
    prediction[u] = wp * (squared ? pu : one);
    target[u] = wt * (squared ? t : one);
  }
  totals.intersection += tree_sum<T>(intersection);
  totals.prediction += tree_sum<T>(prediction);
  totals.target += tree_sum<T>(target);
}

/// dL/dp of one class and vector.
template <class T, bool kWeighted, class Target>
WARPDICE_INLINE Vec<T> slope_at(const Steps<T, Target>& steps, const Slope<T>& slope, int64_t c, int u, Vec<T> p) {
  const Vec<T> dp = p * slope.slope + (steps.target.get(c, u) * slope.overlap + slope.constant);
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

// --- softmax: p_c = e^(z_c - m) / sum_j e^(z_j - m) with m = max_j z_j ------------------------------
//
// kClasses is C where that buys speed (numerators stay in registers), else 0 and `work` holds them,
// [C][kUnroll]. `work` may be the staged predictions themselves.

/// numerators: e^(z - m), [C][kUnroll]; inverse: 1 / their sum.
template <class T, int kClasses>
WARPDICE_INLINE void softmax(int64_t classes, const View<T>& z, Vec<T>* numerators, Vec<T> (&inverse)[kUnroll]) {
  const int64_t C = kClasses ? kClasses : classes;
  Vec<T> m[kUnroll], sum[kUnroll];
  for (int u = 0; u < kUnroll; u++) {
    m[u] = load<Vec<T>>(z.data + u * Simd<T>::lanes);
    sum[u] = Vec<T>{};
  }
#pragma GCC unroll 8
  for (int64_t c = 1; c < C; c++) {
    for (int u = 0; u < kUnroll; u++) m[u] = max(load<Vec<T>>(z.data + c * z.class_stride + u * Simd<T>::lanes), m[u]);
  }
#pragma GCC unroll 8
  for (int64_t c = 0; c < C; c++) {
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> e = exp_nonpositive(load<Vec<T>>(z.data + c * z.class_stride + u * Simd<T>::lanes) - m[u]);
      numerators[c * kUnroll + u] = e;
      sum[u] += e;
    }
  }
  for (int u = 0; u < kUnroll; u++) inverse[u] = static_cast<T>(1) / sum[u];
}

/// totals: [C], added to.
template <class T, int kClasses, bool kWeighted, class Target>
void softmax_statistics(Steps<T, Target> steps, Vec<T>* work, Totals* totals) {
  const int64_t C = kClasses ? kClasses : steps.classes;
  Vec<T> registers[kClasses ? kClasses * kUnroll : 1];
  Vec<T>* numerators = kClasses ? registers : work;
  for (int64_t i = 0; i < steps.count; i++, steps.next()) {
    Vec<T> inverse[kUnroll];
    softmax<T, kClasses>(C, steps.z, numerators, inverse);
#pragma GCC unroll 8
    for (int64_t c = 0; c < C; c++) {
      Vec<T> p[kUnroll];
      for (int u = 0; u < kUnroll; u++) p[u] = numerators[c * kUnroll + u] * inverse[u];
      add_step<T, kWeighted>(steps, c, p, totals[c]);
    }
  }
}

/// dz_c = p_c * (dp_c - sum_j p_j dp_j). slopes: [C].
template <class T, int kClasses, bool kWeighted, class Target>
void softmax_gradient(Steps<T, Target> steps, const Slope<T>* slopes, Vec<T>* work, Sink<T> sink) {
  const int64_t C = kClasses ? kClasses : steps.classes;
  Vec<T> registers[kClasses ? kClasses * kUnroll : 1];
  Vec<T>* numerators = kClasses ? registers : work;
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    Vec<T> inverse[kUnroll], mean[kUnroll] = {};
    softmax<T, kClasses>(C, steps.z, numerators, inverse);
#pragma GCC unroll 8
    for (int64_t c = 0; c < C; c++) {
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> p = numerators[c * kUnroll + u] * inverse[u];
        numerators[c * kUnroll + u] = p;
        mean[u] += p * slope_at<T, kWeighted>(steps, slopes[c], c, u, p);
      }
    }
#pragma GCC unroll 8
    for (int64_t c = 0; c < C; c++) {
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> p = numerators[c * kUnroll + u];
        const Vec<T> g = p * (slope_at<T, kWeighted>(steps, slopes[c], c, u, p) - mean[u]);
        sink.put(c, u, only_weighted<T, kWeighted>(steps, u, g));
      }
    }
  }
}

// --- none and sigmoid: each class on its own --------------------------------------------------------

/// p and, for the derivative p*(1-p), 1-p without cancellation.
template <class T>
struct Probability {
  Vec<T> p, complement;
};

/// 1 / (1 + e^-z), from e^-|z| so that nothing overflows.
template <class T>
WARPDICE_INLINE Probability<T> sigmoid(Vec<T> z) {
  const Vec<T> zero = {};
  const Vec<T> e = exp_nonpositive(z < zero ? z : -z);
  const Vec<T> larger = static_cast<T>(1) / (static_cast<T>(1) + e), smaller = e * larger;
  return {z < zero ? smaller : larger, z < zero ? larger : smaller};
}

/// totals: [C], added to.
template <class T, bool kSigmoid, bool kWeighted, class Target>
void pointwise_statistics(Steps<T, Target> steps, Totals* totals) {
  for (int64_t i = 0; i < steps.count; i++, steps.next()) {
    for (int64_t c = 0; c < steps.classes; c++) {
      Vec<T> p[kUnroll];
      for (int u = 0; u < kUnroll; u++) {
        p[u] = load<Vec<T>>(steps.z.data + c * steps.z.class_stride + u * Simd<T>::lanes);
        if constexpr (kSigmoid) p[u] = sigmoid<T>(p[u]).p;
      }
      add_step<T, kWeighted>(steps, c, p, totals[c]);
    }
  }
}

/// dz = dp, times p*(1-p) for sigmoid. slopes: [C].
template <class T, bool kSigmoid, bool kWeighted, class Target>
void pointwise_gradient(Steps<T, Target> steps, const Slope<T>* slopes, Sink<T> sink) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    for (int64_t c = 0; c < steps.classes; c++) {
      for (int u = 0; u < kUnroll; u++) {
        Vec<T> p = load<Vec<T>>(steps.z.data + c * steps.z.class_stride + u * Simd<T>::lanes);
        Vec<T> chain = splat<T>(1);
        if constexpr (kSigmoid) {
          const Probability<T> probability = sigmoid<T>(p);
          p = probability.p;
          chain = probability.p * probability.complement;
        }
        const Vec<T> g = slope_at<T, kWeighted>(steps, slopes[c], c, u, p) * chain;
        sink.put(c, u, only_weighted<T, kWeighted>(steps, u, g));
      }
    }
  }
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
