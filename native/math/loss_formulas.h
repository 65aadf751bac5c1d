#pragma once
// The formula of each loss and its derivatives with respect to the sums. Shared by the CPU and CUDA.
//
//   Dice      r = (2I + s_n) / (P + T + s_d)                              Milletari 2016, arXiv 1606.04797
//   Jaccard   r = (I + s_n) / (P + T - I + s_d)
//   Tversky   r = (I + s_n) / (I + alpha*(P-I) + beta*(T-I) + s_d)        Salehi 2017, arXiv 1706.05721
//   generalized Dice          r = (2 sum_c w_c*I_c + s_n) / (sum_c w_c*(P_c+T_c) + s_d)       Sudre 2017, 1707.03237
//   generalized Wasserstein   r = (2A + s_n) / (2A + sum_c I_c + s_d),
//                             A = sum_{c != b} (D_c*V_c - I_c), I by Overlap::wasserstein     Fidon 2017, 1707.00478
//                             with D_c = M[c,b]. The authors' NiftyNet has M[c,b]*(1 - W) per voxel in A and their
//                             later program 1 - W, which is D_c = max M: the same where every class is at the largest
//                             distance from b. Weighting::plus_one, of that program: the sums in r, over all classes,
//                             have the weights 1/(V_c + 1).
//   Matthews                  matthews.h
//
// Where nothing is left to compare, and no smoothing either, r is 0/0: everything is ignored, or p = t = 0. Then r
// counts as 0 and its derivatives as 0, so that L = f(0), which is what a tiny s_d gives.
//
// The overlap loss is L = f(r), f(r) = 1 - r unless a Transform says otherwise. The value is
//
//   lambda_overlap * (L, reduced over the groups g and classes c)  +  lambda_ce * CE  +  lambda_focal * focal
#include <math.h>

#include "math/group_totals.h"

namespace warpdice {

/// L = f(r) and dL/dr.
struct Transformed {
  double value, slope;
};

WARPDICE_HOST_DEVICE inline Transformed transformed(const LossOptions& options, Transform transform, double r) {
  constexpr double kMinRatio = 1e-12;  // under a logarithm
  const double x = 1 - r;
  switch (transform) {
    case Transform::none:
      break;
    case Transform::power: {
      if (x <= 0) return {0, 0};
      const double value = pow(x, 1 / options.gamma);
      return {value, -value / (options.gamma * x)};
    }
    case Transform::log: {
      if (r >= 1) return {0, 0};
      const bool clamped = r < kMinRatio;
      const double l = -log(clamped ? kMinRatio : r), value = pow(l, options.gamma);
      return {value, clamped ? 0 : -options.gamma * value / (l * r)};
    }
    case Transform::log_cosh: {
      const double half = sinh(x / 2);
      return {log1p(2 * half * half), -tanh(x)};
    }
  }
  return {x, -1};
}

/// L and its derivatives.
struct Loss {
  double value;
  Coefficients d;
};

/// Whether a denominator counts as 0. The limit keeps the derivatives, about 1/B, finite in a float.
WARPDICE_HOST_DEVICE inline bool nothing_left(double B) { return fabs(B) < 1e-30; }

/// L = f(r) of Matthews' correlation r, and its derivatives with respect to sums that are k times in it.
WARPDICE_HOST_DEVICE inline Loss matthews_loss(const LossOptions& options, const Correlation& of, const Sums& sums,
                                               double k) {
  Loss loss = {};
  const double B = spread(of);
  const bool nothing = nothing_left(B);
  const Transformed f = transformed(options, options.transform, nothing ? 0 : of.joint / B);
  loss.value = f.value;
  if (!nothing) loss.d = weighted(k, correlation_slopes(options, sums, of, f.slope));
  return loss;
}

/// Dice, Jaccard, Tversky of class c: r = A/B with A = a*I + s_n and B = x*P + y*T + z*I + s_d.
WARPDICE_HOST_DEVICE inline Loss class_loss(const LossOptions& options, int64_t c, const Sums& sums) {
  Loss loss = {};
  if (sums.volume == 0 && options.absent == Absent::perfect) return loss;
  if (sums.volume == 0 && options.absent == Absent::worst) {
    loss.value = 1;
    return loss;
  }
  if (options.kind == LossKind::matthews) return matthews_loss(options, correlation(options, sums), sums, 1);
  const bool dice = options.kind == LossKind::dice, tversky = options.kind == LossKind::tversky;
  const double a = dice ? 2 : 1, x = tversky ? options.alpha : 1, y = tversky ? options.beta : 1;
  const double z = dice ? 0 : 1 - x - y;
  const double A = a * sums.intersection + options.smooth_numerator;
  const double B = x * sums.prediction + y * sums.target + z * sums.intersection + options.smooth_denominator;
  const bool nothing = nothing_left(B);
  const double r = nothing ? 0 : A / B;
  const Transformed f = transformed(options, options.transform_of(c), r);
  loss.value = f.value;
  if (nothing) return loss;
  loss.d.intersection = f.slope * ((a - z * r) / B);
  loss.d.prediction = -f.slope * (x * (r / B));
  loss.d.target = -f.slope * (y * (r / B));
  return loss;
}

/// The loss of a group that sums over its classes, and its derivatives with respect to the sums of class c.
WARPDICE_HOST_DEVICE inline Loss group_loss(const LossOptions& options, int64_t classes, int64_t c, const Sums& sums,
                                            const GroupTotals& group, double pair) {
  Loss loss = {};
  if (group.counted == 0) return loss;
  const bool micro = options.kind == LossKind::micro_matthews;
  if (micro || options.kind == LossKind::multiclass_matthews) {
    const Sums all = micro ? micro_sums(group) : sums;
    const Correlation of = micro ? correlation(options, all) : multiclass_correlation(group);
    return matthews_loss(options, of, all, counted(options, sums, c) ? options.class_weight(c) * pair : 0);
  }
  const double absent = absent_weight(group);
  const double A = group.numerator + absent * group.absent_numerator + options.smooth_numerator;
  const double B = group.denominator + absent * group.absent_denominator + options.smooth_denominator;
  const bool nothing = nothing_left(B);
  const double r = nothing ? 0 : A / B;
  const Transformed f = transformed(options, options.transform, r);
  loss.value = f.value;
  if (nothing || pair == 0 || !counted(options, sums, c)) return loss;
  const double dA = f.slope / B, dB = -f.slope * (r / B), k = options.class_weight(c) * pair;
  if (options.kind == LossKind::wasserstein) {
    const WassersteinClass of = wasserstein_class(options, classes, c, sums.volume);
    const double at_distance = 2 * of.in_a * (dA + dB);  // of D_c*V_c - I_c
    loss.d.intersection = of.beside_a * dB - at_distance;
    loss.d.volume = of.distance * at_distance;
    if (options.weighting == Weighting::plus_one) {
      const double dw = 2 * (dA + dB) * (of.distance * sums.volume - sums.intersection) + dB * sums.intersection;
      loss.d.volume += k * dw * volume_weight_slope(options, sums.volume);
    }
    return loss;
  }
  const bool present = sums.volume != 0;
  const double w = present ? volume_weight(options, sums.volume) : absent;
  if (present) {
    double dw = weighted(k, dA * 2 * sums.intersection + dB * (sums.prediction + sums.target));
    if (w == group.largest_weight) {  // the absent classes have this weight; equally heavy classes share its derivative
      dw += (dA * group.absent_numerator + dB * group.absent_denominator) / group.heaviest;
    }
    loss.d.volume = dw * volume_weight_slope(options, sums.volume);
  }
  loss.d.intersection = dA * 2 * k * w;
  loss.d.prediction = dB * k * w;
  loss.d.target = dB * k * w;
  return loss;
}

}  // namespace warpdice
