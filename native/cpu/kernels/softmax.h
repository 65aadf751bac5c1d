#pragma once
// Steps 1 and 3 of softmax: p_c = e^(z_c - m) / sum_j e^(z_j - m) with m = max_j z_j.
#include "cpu/kernels/steps.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// The values that the classes of a voxel share.
template <class T>
struct Softmax {
  Vec<T> largest[kUnroll];  // m
  Vec<T> sum[kUnroll];      // of the numerators
};

/// The sums of groups of classes are added with compensation. Otherwise many small terms would be rounded away beside
/// the 1 of the largest class, all in the same direction.
constexpr int64_t kGroup = 8;
template <class T>
WARPDICE_INLINE void add_part(Vec<T> part, Vec<T>& sum, Vec<T>& lost) {
  const Vec<T> next = sum + part;
  lost += part - (next - sum);
  sum = next;
}

/// Whether all logits of a step of halves are at most 64 in magnitude; NaN is not.
template <class Half>
WARPDICE_INLINE bool all_moderate(int64_t classes, const View<float, Half>& z) {
  typedef int16_t Words __attribute__((vector_size(kVectorBytes)));
  constexpr int16_t kLimit = std::is_same_v<Half, Float16> ? 0x5400 : 0x4280;  // 64
  Words largest = {};
  for (int64_t c = 0; c < classes; c++) {
    z.prefetch(c);
    for (int i = 0; i < kStep<float>; i += kVectorBytes / 2) {
      const Words magnitude = load<Words>(z.data + c * z.class_stride + i) & INT16_MAX;
      largest = magnitude > largest ? magnitude : largest;
    }
  }
  return !any_above(largest, kLimit);
}

/// Computes the numerators e^(z - m), [C][kUnroll], and their sum. exponentials(c, u, e) gives kSideBySide vectors of
/// class c from vector u on.
template <class T, class Exponentials>
WARPDICE_INLINE void sum_numerators(int64_t classes, Vec<T>* numerators, Vec<T> (&sum)[kUnroll],
                                    Exponentials exponentials) {
  Vec<T> lost[kUnroll] = {};
  for (int64_t first = 0; first < classes; first += kGroup) {
    const int64_t last = first + kGroup < classes ? first + kGroup : classes;
    Vec<T> part[kUnroll] = {};
    for (int64_t c = first; c < last; c++) {
      for (int first_u = 0; first_u < kUnroll; first_u += kSideBySide) {
        Vec<T> e[kSideBySide];
        exponentials(c, first_u, e);
        for (int i = 0; i < kSideBySide; i++) {
          numerators[c * kUnroll + first_u + i] = e[i];
          part[first_u + i] += e[i];
        }
      }
    }
    for (int u = 0; u < kUnroll; u++) {
      if (first == 0) sum[u] = part[u];
      else add_part<T>(part[u], sum[u], lost[u]);
    }
  }
  for (int u = 0; u < kUnroll; u++) sum[u] += lost[u];
}

/// Computes the numerators e^(z - m), [C][kUnroll], which may replace z. needs_largest: the caller needs m. Otherwise
/// halves of moderate size are computed with m = 0, and `largest` is not written.
template <class T, class From>
WARPDICE_INLINE Softmax<T> softmax(int64_t classes, const View<T, From>& z, Vec<T>* numerators,
                                   bool needs_largest = true) {
  Softmax<T> shared;
  if constexpr (kHalf<From>) {
    if (!needs_largest && all_moderate(classes, z)) {
      sum_numerators<T>(classes, numerators, shared.sum, [&](int64_t c, int u, Vec<T>(&e)[kSideBySide]) {
        for (int i = 0; i < kSideBySide; i++) e[i] = z.get(c, u + i);
        exp_moderate(e);
      });
      return shared;
    }
  }
  Vec<T>(&m)[kUnroll] = shared.largest;
  for (int u = 0; u < kUnroll; u++) m[u] = z.get(0, u);
  for (int64_t c = 0; c < classes; c++) {
    z.prefetch(c);
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> logits = z.get(c, u);
      m[u] = max(logits, m[u]);
      if constexpr (kHalf<From>) numerators[c * kUnroll + u] = logits;  // widened once
    }
  }
  sum_numerators<T>(classes, numerators, shared.sum, [&](int64_t c, int u, Vec<T>(&e)[kSideBySide]) {
    for (int i = 0; i < kSideBySide; i++) {
      e[i] = (kHalf<From> ? numerators[c * kUnroll + u + i] : z.get(c, u + i)) - m[u + i];
    }
    exp_nonpositive(e);
  });
  return shared;
}

/// Softmax for many classes, step by step. While it computes the exponentials of a step, it reads the logits of the
/// next step and finds their maxima, so that the exponentials do not wait for memory. It reads each logit once: when
/// the distance of rows is a power of two, all classes of a voxel share a few cache sets and would be evicted before a
/// second read.
template <class T>
class PrefetchingSoftmax {
 public:
  /// a, b: [C][kUnroll].
  PrefetchingSoftmax(int64_t classes, const View<T>& first, Vec<T>* a, Vec<T>* b)
      : classes_(classes), numerators_(a), logits_(b) {
    for (int u = 0; u < kUnroll; u++) largest_[u] = first.get(0, u);
    for (int64_t c = 0; c < classes; c++) {
      first.prefetch(c);
      for (int u = 0; u < kUnroll; u++) {
        logits_[c * kUnroll + u] = first.get(c, u);
        largest_[u] = max(logits_[c * kUnroll + u], largest_[u]);
      }
    }
  }

  /// Computes the numerators of the step that was read last, and reads the next one.
  WARPDICE_INLINE Softmax<T> step(const View<T>& next) {
    Vec<T>* const ahead = numerators_;
    numerators_ = logits_;
    logits_ = ahead;
    Softmax<T> shared;
    for (int u = 0; u < kUnroll; u++) {
      shared.largest[u] = largest_[u];
      largest_[u] = next.get(0, u);
    }
    // A few vectors at a time, whose sums and maxima stay in registers.
    for (int first_u = 0; first_u < kUnroll; first_u += kSideBySide) some_vectors(next, first_u, shared);
    return shared;
  }

  /// [C][kUnroll], of the last step().
  const Vec<T>* numerators() const { return numerators_; }

 private:
  WARPDICE_INLINE void some_vectors(const View<T>& next, int first_u, Softmax<T>& shared) {
    Vec<T> m[kSideBySide], largest[kSideBySide], sum[kSideBySide] = {}, lost[kSideBySide] = {};
    for (int i = 0; i < kSideBySide; i++) {
      m[i] = shared.largest[first_u + i];
      largest[i] = largest_[first_u + i];
    }
    for (int64_t first = 0; first < classes_; first += kGroup) {
      const int64_t last = first + kGroup < classes_ ? first + kGroup : classes_;
      Vec<T> part[kSideBySide] = {};
      for (int64_t c = first; c < last; c++) {
        Vec<T>*const numerators = numerators_ + c * kUnroll + first_u, *const logits = logits_ + c * kUnroll + first_u;
        next.prefetch(c, first_u, kSideBySide);
        Vec<T> e[kSideBySide];
        for (int i = 0; i < kSideBySide; i++) e[i] = numerators[i] - m[i];
        exp_nonpositive(e);
        for (int i = 0; i < kSideBySide; i++) {
          numerators[i] = e[i];
          part[i] += e[i];
          logits[i] = next.get(c, first_u + i);
          largest[i] = max(logits[i], largest[i]);
        }
      }
      for (int i = 0; i < kSideBySide; i++) add_part<T>(part[i], sum[i], lost[i]);
    }
    for (int i = 0; i < kSideBySide; i++) {
      shared.sum[first_u + i] = sum[i] + lost[i];
      largest_[first_u + i] = largest[i];
    }
  }

  const int64_t classes_;
  Vec<T>*numerators_, *logits_;
  Vec<T> largest_[kUnroll];  // of the logits
};

/// Rows whose distance is a multiple of this share a few sets of the cache.
constexpr int64_t kCacheWayBytes = 4096;

/// Where PrefetchingSoftmax is faster: on a Zen 5 a call with 19 classes takes 7% less time, in float64 8%. Narrow
/// vectors of floats gain nothing, because their arithmetic takes longer than the memory. Fewer classes, and short
/// rows, stay in the cache from pass to pass anyway; of more classes the cache could not hold two steps.
template <class T>
constexpr bool kReadsAhead = kVectorBytes == 64 || sizeof(T) == 8;
template <class T>
bool reads_ahead(int64_t classes, const View<T>& z) {
  return classes >= 12 && classes <= 24 && z.class_stride * static_cast<int64_t>(sizeof(T)) >= kCacheWayBytes;
}

/// Adds a step to totals [C]. numerators: [C][kUnroll], not where z is. probabilities: null data, or where p goes, see
/// Sink. kEntropy: E, or U, is made. -log p_c = (m - z_c) + log sum_j e^(z_j - m), which keeps the digits where z is
/// large and is finite where p is 0.
template <class T, bool kEntropy, class Target, class From>
WARPDICE_INLINE void add_softmax(const Steps<T, Target, From>& steps, const Softmax<T>& shared,
                                 const Vec<T>* numerators, Totals* totals, const Sink<T>& probabilities,
                                 Extremes<T>& seen) {
  Vec<T> inverse[kUnroll], log_sum[kUnroll];
  for (int u = 0; u < kUnroll; u++) {
    inverse[u] = static_cast<T>(1) / shared.sum[u];
    if constexpr (kEntropy) log_sum[u] = log_positive(shared.sum[u]);
  }
  for (int64_t c = 0; c < steps.classes; c++) {
    if constexpr (!Target::kLabels) steps.target.view.prefetch(c);
    if constexpr (kEntropy) {  // before z is replaced by what is kept
      Vec<T> entropy[kUnroll], even[kUnroll];
      for (int u = 0; u < kUnroll; u++) {
        even[u] = (shared.largest[u] - steps.z.get(c, u)) + log_sum[u];
        entropy[u] = share_of(steps, c, u, even[u]);
      }
      add_weighed(steps, entropy, totals[c].cross_entropy);
      if (steps.uniform) add_weighed(steps, even, totals[c].uniform);
    }
    Vec<T> p[kUnroll];
    for (int u = 0; u < kUnroll; u++) p[u] = numerators[c * kUnroll + u] * inverse[u];
    if (probabilities.data) probabilities.put(c, p);
    add_step(steps, c, p, totals[c], seen);
  }
}

/// The same for all steps, reading the logits of the next step meanwhile. This is a function of its own because GCC
/// does not unroll loops in larger functions.
template <class T, class Target, class From>
__attribute__((noinline)) void prefetching_statistics(Steps<T, Target, From> steps, Vec<T>* numerators,
                                                      Vec<T>* next_logits, Totals* totals, Sink<T> probabilities) {
  Extremes<T> seen;  // labels are no probabilities
  PrefetchingSoftmax<T> prefetching(steps.classes, steps.z, numerators, next_logits);
  for (int64_t i = 0; i < steps.count; i++, steps.next(), probabilities.next()) {
    View<T> next = steps.z;
    if (i + 1 < steps.count) next.data += kStep<T>;  // else the last, again
    const Softmax<T> shared = prefetching.step(next);
    add_softmax<T, false>(steps, shared, prefetching.numerators(), totals, probabilities, seen);
  }
}

/// totals: [C], added to. numerators, next_logits: [C][kUnroll].
template <class T, bool kEntropy, class Target, class From>
void softmax_statistics(Steps<T, Target, From> steps, Vec<T>* numerators, Vec<T>* next_logits, Totals* totals,
                        Sink<T> probabilities) {
  // Halves are read once anyway, to be widened; E and U read the logits again, and a dense target fills the cache.
  if constexpr (kReadsAhead<T> && Target::kLabels && !kHalf<From> && !kEntropy) {
    if (reads_ahead(steps.classes, steps.z) && steps.count > 1) {
      return prefetching_statistics<T>(steps, numerators, next_logits, totals, probabilities);
    }
  }
  Extremes<T> seen;
  for (int64_t i = 0; i < steps.count; i++, steps.next(), probabilities.next()) {
    const Softmax<T> shared = softmax<T>(steps.classes, steps.z, numerators, kEntropy);
    add_softmax<T, kEntropy>(steps, shared, numerators, totals, probabilities, seen);
  }
  if constexpr (!Target::kLabels) steps.seen->add(seen);
}

/// q_c = w*(dE_c*t_c + dU_c) of one class and vector.
template <class T, bool kWeighted, class Target, class From>
WARPDICE_INLINE Vec<T> entropy_slope(const Steps<T, Target, From>& steps, const Slope<T>& slope, int64_t c, int u) {
  Vec<T> q;
  if constexpr (Target::kLabels) {
    q = steps.target.select(c, u, splat<T>(slope.entropy_at_label), splat<T>(slope.uniform));
  } else {
    q = steps.target.get(c, u) * slope.cross_entropy + slope.uniform;
  }
  return weighed<T, kWeighted>(steps, u, q);
}

/// dz_c = p_c * (dp_c - sum_j p_j dp_j + sum_j q_j) - q_c. slopes: [C]. kKept: z is what step 1 kept. kEntropy: E, or
/// U, has a slope. p, dp: [C][kUnroll].
template <class T, bool kWeighted, bool kKept, bool kEntropy, class Target, class From, class To>
void softmax_gradient(Steps<T, Target, From> steps, const Slope<T>* slopes, Vec<T>* p, Vec<T>* dp, Sink<T, To> sink) {
  // Prefetching the kept probabilities helps narrow vectors. With more classes they would be evicted before their use.
  const bool prefetches = kKept && kVectorBytes < 64 && steps.classes <= 32;
  // With more classes than a cache set holds, only those that were read last are still cached.
  const bool share = steps.z.class_stride * static_cast<int64_t>(sizeof(From)) % kCacheWayBytes == 0;
  const bool backwards = kKept && !kEntropy && kVectorBytes == 64 && share && steps.classes > 12;
  const int64_t first = backwards ? steps.classes - 1 : 0, step = backwards ? -1 : 1;
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    Vec<T> inverse[kUnroll], mean[kUnroll] = {};
    if constexpr (!kKept) {
      const Softmax<T> shared = softmax<T>(steps.classes, steps.z, p, false);
      for (int u = 0; u < kUnroll; u++) inverse[u] = static_cast<T>(1) / shared.sum[u];
    }
    for (int64_t c = 0; c < steps.classes; c++) {
      const Slope<T> slope = slopes[c];
      if (prefetches) steps.z.prefetch(c);
      if constexpr (!Target::kLabels) steps.target.view.prefetch(c);
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> pu = kKept ? steps.z.get(c, u) : p[c * kUnroll + u] * inverse[u];
        const Vec<T> dpu = slope_at<T, kWeighted>(steps, slope, c, u, minus_target(steps, c, u, pu, pu - splat<T>(1)));
        p[c * kUnroll + u] = pu;
        dp[c * kUnroll + u] = dpu;
        mean[u] += pu * dpu;
        if constexpr (kEntropy) mean[u] -= entropy_slope<T, kWeighted>(steps, slope, c, u);
      }
    }
    for (int64_t left = steps.classes, c = first; left > 0; left--, c += step) {
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

}  // namespace warpdice::cpu::WARPDICE_TARGET
