#pragma once
// Steps 1 and 3 of softmax: p_c = e^(z_c - m) / sum_j e^(z_j - m) with m = max_j z_j.
#include "steps.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// What the classes of a voxel share.
template <class T>
struct Softmax {
  Vec<T> largest[kUnroll];  // m
  Vec<T> sum[kUnroll];      // of the numerators
};

/// numerators: e^(z - m), [C][kUnroll], which may lie where z does.
template <class T, class From>
WARPDICE_INLINE Softmax<T> softmax(int64_t classes, const View<T, From>& z, Vec<T>* numerators) {
  Softmax<T> shared;
  Vec<T>(&m)[kUnroll] = shared.largest;
  Vec<T> sum[kUnroll] = {}, lost[kUnroll] = {};
  for (int u = 0; u < kUnroll; u++) m[u] = z.get(0, u);
  for (int64_t c = 0; c < classes; c++) {
    z.prefetch(c);
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> logits = z.get(c, u);
      m[u] = max(logits, m[u]);
      if constexpr (kHalf<From>) numerators[c * kUnroll + u] = logits;  // widened once
    }
  }
  const auto logits = [&](int64_t c, int u) { return kHalf<From> ? numerators[c * kUnroll + u] : z.get(c, u); };
  // Groups of classes are added with compensation: many small terms beside the 1 of the largest class would
  // else be lost, all to the same side.
  constexpr int64_t kGroup = 8;
  for (int64_t first = 0; first < classes; first += kGroup) {
    const int64_t last = first + kGroup < classes ? first + kGroup : classes;
    Vec<T> part[kUnroll] = {};
    for (int64_t c = first; c < last; c++) {
      for (int first_u = 0; first_u < kUnroll; first_u += kSideBySide) {
        Vec<T> e[kSideBySide];
        for (int i = 0; i < kSideBySide; i++) e[i] = logits(c, first_u + i) - m[first_u + i];
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
template <class T, bool kSquared, bool kWeighted, bool kKeep, bool kEntropy, class Target, class From>
void softmax_statistics(Steps<T, Target, From> steps, Vec<T>* work, Totals* totals, Sink<T> keep) {
  for (int64_t i = 0; i < steps.count; i++, steps.next(), keep.data += kStep<T>) {
    const Softmax<T> shared = softmax(steps.classes, steps.z, work);
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
        add_weighted<T, kWeighted>(steps, entropy, totals[c].cross_entropy);
        if (steps.uniform) add_weighted<T, kWeighted>(steps, even, totals[c].uniform);
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
WARPDICE_INLINE Vec<T> entropy_slope(const Voxels<T, Target>& steps, const Slope<T>& slope, int64_t c, int u) {
  Vec<T> q;
  if constexpr (Target::kLabels) {
    q = steps.target.select(c, u, splat<T>(slope.entropy_at_label), splat<T>(slope.uniform));
  } else {
    q = steps.target.get(c, u) * slope.cross_entropy + slope.uniform;
  }
  return weighed<T, kWeighted>(steps, u, q);
}

/// dz_c = p_c * (dp_c - sum_j p_j dp_j + sum_j q_j) - q_c. slopes: [C]. p and dp: [C][kUnroll].
template <class T, bool kWeighted, bool kKept, bool kEntropy, class Target, class From, class To>
void softmax_gradient(Steps<T, Target, From> steps, const Slope<T>* slopes, Vec<T>* p, Vec<T>* dp, Sink<T, To> sink) {
  // Narrow vectors wait for what was kept. Of more classes the caches would lose it again before it is used.
  const bool prefetches = kKept && kVectorBytes < 64 && steps.classes <= 32;
  for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
    Vec<T> inverse[kUnroll], mean[kUnroll] = {};
    if constexpr (!kKept) {
      const Softmax<T> shared = softmax(steps.classes, steps.z, p);
      for (int u = 0; u < kUnroll; u++) inverse[u] = static_cast<T>(1) / shared.sum[u];
    }
    for (int64_t c = 0; c < steps.classes; c++) {
      const Slope<T> slope = slopes[c];
      if (prefetches) steps.z.prefetch(c);
      if constexpr (!Target::kLabels) steps.target.view.prefetch(c);
      for (int u = 0; u < kUnroll; u++) {
        const Vec<T> pu = kKept ? steps.z.get(c, u) : p[c * kUnroll + u] * inverse[u];
        const Vec<T> dpu = slope_at<T, kWeighted>(steps, slope, c, u, less_target(steps, c, u, pu, pu - splat<T>(1)));
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

}  // namespace warpdice::cpu::WARPDICE_TARGET
