#pragma once
// Step 2: from the statistics to the loss and to one coefficient per statistic.
// Shared by the CPU and CUDA: plain functions of a few numbers, in double.
//
//   Dice     L = 1 - (2I + s_n) / (P + T + s_d)        Milletari 2016, arXiv 1606.04797, with P = sum p^2
//   Jaccard  L = 1 - (I + s_n) / (P + T - I + s_d)
#include <cstdint>

#ifdef __CUDACC__
#define WARPDICE_HOST_DEVICE __host__ __device__
#else
#define WARPDICE_HOST_DEVICE
#endif

namespace warpdice {

/// The statistics of one sample and class, or of one class when pooled over the batch. What a loss does not need
/// (see Inputs) is 0.
struct Sums {
  double intersection;   // I = sum w*p*t; Overlap says what else it can be
  double prediction;     // P = sum w*p^k
  double target;         // T = sum w*t^k
  double volume;         // V = sum w*t
  double weight;         // W = sum w
  double cross_entropy;  // E = sum w*-t*log(p); sigmoid: sum w*-(t*log(p) + (1-t)*log(1-p))
  double uniform;        // U = sum w*-log(p); sigmoid: sum w*-(log(p) + log(1-p))/2
  double focal;          // F = sum w*-t*(1-p)^g*log(p); sigmoid: and the same of 1-t and 1-p
};
constexpr int kSumCount = sizeof(Sums) / sizeof(double);

WARPDICE_HOST_DEVICE inline void add(Sums& to, const Sums& part) {
  to.intersection += part.intersection;
  to.prediction += part.prediction;
  to.target += part.target;
  to.volume += part.volume;
  to.weight += part.weight;
  to.cross_entropy += part.cross_entropy;
  to.uniform += part.uniform;
  to.focal += part.focal;
}

/// The derivative of the reduced loss with respect to each sum. Those to target and volume serve dL/dt alone.
struct Coefficients {
  double intersection, prediction, target, volume;
  double cross_entropy, uniform, focal;
};

enum class LossKind : uint8_t { dice, jaccard };
enum class Reduction : uint8_t { none, mean, sum };

/// The numbers that make one loss out of the statistics.
struct LossOptions {
  LossKind kind = LossKind::dice;
  Reduction reduction = Reduction::mean;
  bool pooled = false;     // statistics are [C], pooled over the batch, instead of [N,C]
  bool background = true;  // false: class 0 is not counted
  double smooth_numerator = 0;
  double smooth_denominator = 1e-7;
  const double* class_weights = nullptr;  // [C], or null for ones
};

/// L and its derivatives for one set of sums.
struct Loss {
  double value;
  Coefficients d;
};

/// L = 1 - A/B with A = a*I + s_n and B = P + T - j*I + s_d. Dice: a = 2, j = 0. Jaccard: a = 1, j = 1.
WARPDICE_HOST_DEVICE inline Loss overlap_loss(const LossOptions& options, const Sums& sums) {
  const double a = options.kind == LossKind::dice ? 2.0 : 1.0;
  const double j = options.kind == LossKind::dice ? 0.0 : 1.0;
  const double A = a * sums.intersection + options.smooth_numerator;
  const double B = sums.prediction + sums.target - j * sums.intersection + options.smooth_denominator;
  const double ratio = A / B;
  Loss loss = {};
  loss.value = 1.0 - ratio;
  loss.d.intersection = -(a + j * ratio) / B;
  loss.d.prediction = ratio / B;
  loss.d.target = ratio / B;
  return loss;
}

/// Whether class c takes part in the reduction.
WARPDICE_HOST_DEVICE inline bool counted(const LossOptions& options, int64_t c) { return options.background || c > 0; }

/// What the loss of a counted (n, c) is multiplied by in the reduced value, class weight included.
WARPDICE_HOST_DEVICE inline double share(const LossOptions& options, int64_t groups, int64_t classes, int64_t c) {
  const double weight = options.class_weights ? options.class_weights[c] : 1.0;
  if (options.reduction != Reduction::mean) return weight;
  return weight / (static_cast<double>(groups) * static_cast<double>(options.background ? classes : classes - 1));
}

/// groups: N, or 1 when pooled.
/// sums: [groups, C].
/// per_class: [groups, C], the loss of each, weighted by nothing; may be null.
/// value: one number, or [groups, C] for Reduction::none (class weight * loss, 0 where not counted); may be null.
inline void finalize_value(const LossOptions& options, int64_t groups, int64_t classes, const Sums* sums, double* value,
                           double* per_class) {
  double total = 0;
  for (int64_t g = 0; g < groups; g++) {
    for (int64_t c = 0; c < classes; c++) {
      const int64_t i = g * classes + c;
      const double loss = overlap_loss(options, sums[i]).value;
      // A class that is not counted must not turn the total into NaN.
      const double term = counted(options, c) ? share(options, groups, classes, c) * loss : 0.0;
      total += term;
      if (per_class) per_class[i] = loss;
      if (value && options.reduction == Reduction::none) value[i] = term;
    }
  }
  if (value && options.reduction != Reduction::none) value[0] = total;
}

/// coefficients: [groups, C]: scale * upstream * share * dL/dSums, for the groups [first, last).
/// upstream: [groups, C], dL/dvalue of Reduction::none; null for the other reductions.
inline void finalize_coefficients(const LossOptions& options, int64_t groups, int64_t classes, const Sums* sums,
                                  double scale, const double* upstream, Coefficients* coefficients, int64_t first,
                                  int64_t last) {
  for (int64_t g = first; g < last; g++) {
    for (int64_t c = 0; c < classes; c++) {
      const int64_t i = g * classes + c;
      coefficients[i] = {};
      if (!counted(options, c)) continue;
      const Coefficients d = overlap_loss(options, sums[i]).d;
      const double factor = share(options, groups, classes, c) * scale * (upstream ? upstream[i] : 1.0);
      coefficients[i].intersection = d.intersection * factor;
      coefficients[i].prediction = d.prediction * factor;
      coefficients[i].target = d.target * factor;
    }
  }
}

}  // namespace warpdice
