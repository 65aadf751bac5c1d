#pragma once
// The parts that the passes of steps 1 and 3 share: a step of voxels, its target, the terms of one class in the sums,
// and the slope from one class's coefficients. softmax.h and pointwise.h have the passes.
//
// Classes are in the outer loop and a vector holds neighbouring voxels, so that nothing crosses lanes.
// Sums: eight vectors are added as a tree in T and then into double, so that constant inputs (whose
// rounding errors would all point the same way) stay exact.
#include "cpu/kernels/dispatch.h"
#include "cpu/kernels/elementary.h"
#include "cpu/kernels/unit_range.h"
#include "math/slope.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// A step in the caller's array or staged: its data begins with class 0 of the first voxel. From: T, or halves.
template <class T, class From = T>
struct View {
  typedef From Storage;
  const From* data;
  int64_t class_stride;  // elements

  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const {
    const From* from = data + c * class_stride + u * Simd<T>::lanes;
    if constexpr (kHalf<From>) return unpack(from);
    else return load<Vec<T>>(from);
  }

  /// Prefetches the data of a later step: with a row per class there are too many streams for the hardware prefetcher.
  /// 1.5 kB ahead was best on a Zen 5 (of 0.5, 1 and 1.5); it saves 20 to 30% on tensors larger than the cache.
  WARPDICE_INLINE void prefetch(int64_t c) const { prefetch(c, 0, kUnroll); }

  /// The same for some of the step's vectors.
  WARPDICE_INLINE void prefetch(int64_t c, int first_u, int count) const {
    constexpr int kAheadBytes = 1536, kLineBytes = 64, kVector = Simd<T>::lanes * sizeof(From);
    const char* from = reinterpret_cast<const char*>(data + c * class_stride) + kAheadBytes + first_u * kVector;
    for (int at = 0; at < count * kVector; at += kLineBytes) __builtin_prefetch(from + at);
  }
};

/// t from labels, one per voxel; class c is label c + base. Staged ones are int32, of which -1 is no class.
template <class T, class Label = int32_t>
struct LabelTarget {
  static constexpr bool kLabels = true, kStaged = sizeof(Label) == sizeof(int32_t);
  const Label* labels;
  int32_t base;

  WARPDICE_INLINE Mask<T> is(int64_t c, int u) const {
    return widen_labels<T>(labels + u * Simd<T>::lanes) == static_cast<typename Simd<T>::Int>(c + base);
  }
  WARPDICE_INLINE Vec<T> select(int64_t c, int u, Vec<T> here, Vec<T> elsewhere) const {
#if defined(__AVX512F__)
    // Compared as bytes, labels need not be widened.
    if constexpr (sizeof(Label) == 1) {
      return blend(equal_bytes<T>(labels + u * Simd<T>::lanes, static_cast<char>(c + base)), here, elsewhere);
    }
#endif
    return is(c, u) ? here : elsewhere;
  }
  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const { return select(c, u, splat<T>(1), Vec<T>{}); }
  WARPDICE_INLINE Vec<T> times(int64_t c, int u, Vec<T> p) const { return select(c, u, p, Vec<T>{}); }
  WARPDICE_INLINE void next_step() { labels += kStep<T>; }
};

/// t from an array like the predictions.
template <class T>
struct DenseTarget {
  static constexpr bool kLabels = false, kStaged = true;
  View<T> view;

  WARPDICE_INLINE Vec<T> times(int64_t c, int u, Vec<T> p) const { return p * get(c, u); }
  WARPDICE_INLINE Vec<T> get(int64_t c, int u) const { return view.get(c, u); }
  WARPDICE_INLINE void next_step() { view.data += kStep<T>; }
};

/// The sums of one class over a run, lane by lane.
struct Totals {
  Vec<double> intersection, prediction, target, volume, cross_entropy, uniform, focal;
  Vec<double> weight;  // where each class has weights of its own
};

/// One class's coefficients in the form that the passes use.
template <class T>
struct Slope : PredictionSlope<T> {
  T at_label;                // at_target + constant
  T cross_entropy, uniform;  // their coefficients
  T entropy_at_label;        // cross_entropy + uniform
};

template <class T>
WARPDICE_INLINE Slope<T> slope_of(const Inputs& in, const Coefficients& d) {
  const PredictionSlope<double> exact = prediction_slope<double>(in, d);
  return {{static_cast<T>(exact.slope), static_cast<T>(exact.at_target), static_cast<T>(exact.constant)},
          static_cast<T>(exact.at_target + exact.constant),
          static_cast<T>(d.cross_entropy),
          static_cast<T>(d.uniform),
          static_cast<T>(d.cross_entropy + d.uniform)};
}

/// The data that a pass works on. It advances by whole steps.
template <class T, class Target, class From = T>
struct Steps {
  /// Whether there can be weights. Where the passes widen labels or halves themselves there are none.
  static constexpr bool kWeighable = Target::kStaged && !kHalf<From>;

  int64_t classes;
  int64_t count;    // steps
  View<T, From> z;  // logits or probabilities
  Target target;
  const T* weight;        // one per voxel, or null
  int64_t weight_stride;  // not 0: each class has weights of its own, elements from class to class
  bool squared;           // k = 2 instead of 1
  bool entropy;           // make the sum E, or U
  bool uniform;           // make the sum U
  Extremes<T>* seen;      // step 1: of values that must be probabilities

  WARPDICE_INLINE bool weighted() const { return kWeighable && weight; }

  WARPDICE_INLINE void next() {
    z.data += kStep<T>;
    target.next_step();
    if (weighted()) weight += kStep<T>;
  }
};

/// The memory for the gradient, or for the probabilities that step 1 keeps for step 3 (data is null when it keeps
/// none): p for softmax; for sigmoid the smaller one of p and 1-p with the sign of z. To: T, or halves.
template <class T, class To = T>
struct Sink {
  To* data;
  int64_t class_stride;
  bool streaming;

  /// Goes to the next step. Without data it stays null.
  WARPDICE_INLINE void next() { data += data ? kStep<T> : 0; }

  WARPDICE_INLINE void put(int64_t c, const Vec<T> (&g)[kUnroll]) const {
    To* to = data + c * class_stride;
    if constexpr (kHalf<To>) {
      for (int u = 0; u < kUnroll; u += 2) {
        const HalfWords halves = pack(g[u], g[u + 1], to);
        if (streaming) stream(to + u * Simd<T>::lanes, halves);
        else store(to + u * Simd<T>::lanes, halves);
      }
    } else if (streaming) {
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

/// Adds one class of one step to its totals. T of labels without weights is counted elsewhere (KernelRun), V apart from
/// T only where t^k is not t. seen: notes t of a dense target and, with kNotesP, p, both as 0 where the weight is 0.
template <class T, bool kSquared, bool kWeighted, bool kNotesP, class Target, class From, class Seen>
WARPDICE_INLINE void add_terms(const Steps<T, Target, From>& steps, int64_t c, const Vec<T> (&p)[kUnroll],
                               Totals& totals, Seen& seen) {
  constexpr bool kVolume = kSquared && !Target::kLabels;
  Vec<T> intersection[kUnroll], prediction[kUnroll], target[kUnroll], volume[kUnroll], t[kUnroll];
  const Vec<T> zero = {};
  for (int u = 0; u < kUnroll; u++) {
    if constexpr (kWeighted) {
      // Selected, not multiplied: a voxel without weight contributes nothing even if it is NaN.
      const Vec<T> w = load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
      const Vec<T> pu = w == zero ? zero : p[u];
      t[u] = w == zero ? zero : steps.target.get(c, u);
      intersection[u] = w * pu * t[u];
      prediction[u] = kSquared ? w * pu * pu : w * pu;
      target[u] = kSquared ? w * t[u] * t[u] : w * t[u];
      if constexpr (kVolume) volume[u] = w * t[u];
      if constexpr (kNotesP) seen.note(u, pu);
    } else {
      intersection[u] = steps.target.times(c, u, p[u]);
      prediction[u] = kSquared ? p[u] * p[u] : p[u];
      if constexpr (!Target::kLabels) {
        t[u] = steps.target.get(c, u);
        target[u] = kSquared ? t[u] * t[u] : t[u];
        if constexpr (kVolume) volume[u] = t[u];
      }
      if constexpr (kNotesP) seen.note(u, p[u]);
    }
    if constexpr (!Target::kLabels) seen.note(u, t[u]);
  }
  totals.intersection += tree_sum<T>(intersection);
  totals.prediction += tree_sum<T>(prediction);
  if constexpr (kWeighted || !Target::kLabels) totals.target += tree_sum<T>(target);
  if constexpr (kVolume) totals.volume += tree_sum<T>(volume);
}

template <class T, class Target, class From>
WARPDICE_INLINE void add_step(const Steps<T, Target, From>& steps, int64_t c, const Vec<T> (&p)[kUnroll],
                              Totals& totals, Extremes<T>& seen) {
  if constexpr (Steps<T, Target, From>::kWeighable) {
    if (steps.weight && steps.squared) return add_terms<T, true, true, false>(steps, c, p, totals, seen);
    if (steps.weight) return add_terms<T, false, true, false>(steps, c, p, totals, seen);
  }
  if (steps.squared) add_terms<T, true, false, false>(steps, c, p, totals, seen);
  else add_terms<T, false, false, false>(steps, c, p, totals, seen);
}

/// x to w*x, and to 0 where w is 0 even if x is NaN. weight: of the step.
template <class T>
WARPDICE_INLINE void weigh(const T* weight, Vec<T> (&x)[kUnroll]) {
  const Vec<T> zero = {};
  for (int u = 0; u < kUnroll; u++) {
    const Vec<T> w = load<Vec<T>>(weight + u * Simd<T>::lanes);
    x[u] = w == zero ? zero : w * x[u];
  }
}

/// x; exactly 0 where the weight is 0, even if x is NaN.
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE Vec<T> only_weighted(const Steps<T, Target, From>& steps, int u, Vec<T> g) {
  if constexpr (!kWeighted) return g;
  const Vec<T> zero = {};
  return load<Vec<T>>(steps.weight + u * Simd<T>::lanes) == zero ? zero : g;
}

/// Adds x of one class of one step, weighed where there are weights.
template <class T, class Target, class From>
WARPDICE_INLINE void add_weighed(const Steps<T, Target, From>& steps, Vec<T> (&x)[kUnroll], Vec<double>& total) {
  if (steps.weighted()) weigh<T>(steps.weight, x);
  total += tree_sum<T>(x);
}

/// t*x, and 0 for t = 0 even where x is infinite.
template <class T, class Target, class From>
WARPDICE_INLINE Vec<T> share_of(const Steps<T, Target, From>& steps, int64_t c, int u, Vec<T> x) {
  if constexpr (Target::kLabels) return steps.target.times(c, u, x);
  const Vec<T> zero = {}, t = steps.target.get(c, u);
  return t == zero ? zero : t * x;
}

/// w*x
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE Vec<T> weighed(const Steps<T, Target, From>& steps, int u, Vec<T> x) {
  if constexpr (!kWeighted) return x;
  return x * load<Vec<T>>(steps.weight + u * Simd<T>::lanes);
}

/// p - t of one class and vector. below_one: p - 1, as exactly as it is known. kDigits: it has digits that p has lost.
template <class T, bool kDigits = false, class Target, class From>
WARPDICE_INLINE Vec<T> minus_target(const Steps<T, Target, From>& steps, int64_t c, int u, Vec<T> p, Vec<T> below_one) {
  if constexpr (Target::kLabels) return steps.target.select(c, u, below_one, p);
  const Vec<T> t = steps.target.get(c, u);
  return kDigits ? (p - t * p) + t * below_one : p - t;
}

/// dL/dp of one class and vector. difference: p - t.
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE Vec<T> slope_at(const Steps<T, Target, From>& steps, const Slope<T>& slope, int64_t c, int u,
                                Vec<T> difference) {
  Vec<T> dp;
  if constexpr (Target::kLabels) {
    dp = difference * slope.slope + steps.target.select(c, u, splat<T>(slope.at_label), splat<T>(slope.constant));
  } else {
    dp = slope.at(steps.target.get(c, u), difference);
  }
  return weighed<T, kWeighted>(steps, u, dp);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
