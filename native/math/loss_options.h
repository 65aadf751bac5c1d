#pragma once
// The numbers that make one loss out of the statistics; loss_formulas.h has the formulas.
#include <stdint.h>

#include "math/sums.h"

namespace warpdice {

enum class LossKind : uint8_t {
  dice,
  jaccard,
  tversky,
  generalized,
  wasserstein,
  matthews,             // of each class
  micro_matthews,       // of one table of all classes
  multiclass_matthews,  // R_K
};
enum class Reduction : uint8_t { none, mean, sum };

/// L = f(r). Powers and logarithms are kept finite: 1-r is clamped to 0 from below and r, under the logarithm, to
/// [1e-12, 1]; where a clamp acts, and at r = 1 where the derivative is not finite, dL/dr is 0.
enum class Transform : uint8_t {
  none,      // 1 - r
  power,     // (1 - r)^(1/gamma): focal Tversky, Abraham & Khan 2018, 1810.07842
  log,       // (-log r)^gamma: log-Dice with gamma = 1; exponential-logarithmic, Wong 2018, 1809.00076
  log_cosh,  // log cosh(1 - r), Jadon 2020, 2006.14822
};

/// The parts of the Unified Focal loss, Yeung 2022, 2102.04525: F of each class has a factor, delta or, for class 0, 1
/// - delta, and the means divide by the voxels, not by their classes. asymmetric: for class 0 alone there is a
/// transform and F is counted, and E in its place for the others.
enum class Unified : uint8_t { none, symmetric, asymmetric };

/// The weight w_c of a class of volume V in generalized Dice; plus_one is one of the Wasserstein loss.
enum class Weighting : uint8_t { square, simple, uniform, plus_one };  // 1/V^2, 1/V, 1, 1/(V+1)

/// How a class with no target voxels (V = 0) is treated. Generalized Dice gives it the largest weight of the present
/// classes (formula) or leaves it out (else); the Wasserstein loss needs no rule.
enum class Absent : uint8_t {
  formula,  // L as the formula gives it
  skip,     // not counted
  perfect,  // L = 0
  worst,    // L = 1
};

struct LossOptions {
  LossKind kind = LossKind::dice;
  Reduction reduction = Reduction::mean;
  Transform transform = Transform::none;
  Weighting weighting = Weighting::square;
  Absent absent = Absent::formula;
  Unified unified = Unified::none;
  bool pooled = false;     // statistics are [C], pooled over the batch, instead of [N,C]
  bool background = true;  // false: class 0 is not counted in the overlap
  bool sigmoid = false;    // each class has a cross-entropy of its own
  double smooth_numerator = 0;
  double smooth_denominator = 1e-7;         // of Matthews' correlation: s, see matthews.h
  double alpha = 0.5, beta = 0.5;           // Tversky: weights of false positives and of false negatives
  double gamma = 1;                         // of the transform, above 0
  double overlap_factor = 1;                // lambda_overlap
  double cross_entropy_factor = 0;          // lambda_ce
  double focal_factor = 0;                  // lambda_focal
  double delta = 0.5;                       // of Unified
  double label_smoothing = 0;               // s: the target becomes (1-s)*t + s/C; sigmoid (1-s)*t + s/2
  int64_t background_index = 0;             // b of the Wasserstein loss
  const double* distances = nullptr;        // M [C,C] of the Wasserstein loss
  double largest_distance = 0;              // of M, where that loss measures from it; 0: from M[c,b]
  const double* class_weights = nullptr;    // [C], or null for ones
  const double* entropy_weights = nullptr;  // [C]: those of the cross-entropy, or null for class_weights

  WARPDICE_HOST_DEVICE double class_weight(int64_t c) const { return class_weights ? class_weights[c] : 1.0; }

  WARPDICE_HOST_DEVICE double entropy_weight(int64_t c) const {
    if (unified != Unified::none) return c == 0 ? 0 : class_weight(c) * delta;
    return entropy_weights ? entropy_weights[c] : class_weight(c);
  }

  WARPDICE_HOST_DEVICE double focal_weight(int64_t c) const {
    if (unified == Unified::none) return class_weight(c);
    return class_weight(c) * (c == 0 ? 1 - delta : unified == Unified::symmetric ? delta : 0);
  }

  /// The transform of class c.
  WARPDICE_HOST_DEVICE Transform transform_of(int64_t c) const {
    return unified == Unified::asymmetric && c == 0 ? Transform::none : transform;
  }

  /// The part of the weight of class c in the divisor of the cross-entropy and of the focal loss. pair: see
  /// add_class().
  WARPDICE_HOST_DEVICE double counted_weight(double factor, double weight, int64_t classes, double pair) const {
    return unified == Unified::none ? factor * weight : pair * weight / static_cast<double>(classes);
  }

  /// Whether a group has one overlap loss instead of one per class.
  WARPDICE_HOST_DEVICE bool sums_over_classes() const {
    return kind == LossKind::generalized || kind == LossKind::wasserstein || kind == LossKind::micro_matthews ||
           kind == LossKind::multiclass_matthews;
  }
  WARPDICE_HOST_DEVICE bool compound() const { return cross_entropy_factor != 0 || focal_factor != 0; }

  /// Whether Reduction::none gives [groups] instead of [groups,C].
  WARPDICE_HOST_DEVICE bool value_per_group() const { return sums_over_classes() || compound(); }

  /// How many numbers the value has.
  WARPDICE_HOST_DEVICE int64_t value_count(int64_t groups, int64_t classes) const {
    if (reduction != Reduction::none) return 1;
    return value_per_group() ? groups : groups * classes;
  }
};

}  // namespace warpdice
