#pragma once
// Step 2: from the statistics to the loss and to one coefficient per statistic.
// Shared by the CPU and CUDA: plain functions of a few numbers, in double; no allocation, nothing of std.
//
//   Dice      r = (2I + s_n) / (P + T + s_d)                              Milletari 2016, arXiv 1606.04797
//   Jaccard   r = (I + s_n) / (P + T - I + s_d)
//   Tversky   r = (I + s_n) / (I + alpha*(P-I) + beta*(T-I) + s_d)        Salehi 2017, arXiv 1706.05721
//   generalized Dice          r = (2 sum_c w_c*I_c + s_n) / (sum_c w_c*(P_c+T_c) + s_d)       Sudre 2017, 1707.03237
//   generalized Wasserstein   r = (2A + s_n) / (2A + sum_c I_c + s_d),
//                             A = sum_{c != b} (M[c,b]*V_c - I_c), I by Overlap::wasserstein  Fidon 2017, 1707.00478
//                             The authors' NiftyNet has M[c,b]*(1 - W) per voxel in A and their later program 1 - W
//                             instead of M[c,b] - W: the same where every class is at distance 1 from b.
//
// The overlap loss is L = f(r), f(r) = 1 - r unless a Transform says otherwise. The value is
//
//   lambda_overlap * (L, reduced over the groups g and classes c)  +  lambda_ce * CE  +  lambda_focal * focal
//
// A group is a sample, or the batch when pooled. The work has two parts, and threads can share each: add_class() adds
// each (g,c) to the totals of its group, and the groups add up to the total; then class_term() is a function of one
// (g,c), its group and the total.
#include <math.h>
#include <stdint.h>

#include "math/loss_options.h"

namespace warpdice {

/// factor * x; 0 for a factor of 0, even where x is infinite or NaN, such as the cross-entropy of a forbidden class.
WARPDICE_HOST_DEVICE inline double weighted(double factor, double x) { return factor == 0 ? 0 : factor * x; }

/// The same for each derivative.
WARPDICE_HOST_DEVICE inline Coefficients weighted(double factor, const Coefficients& d) {
  if (factor == 0) return {};
  return {factor * d.intersection,  factor * d.prediction, factor * d.target, factor * d.volume,
          factor * d.cross_entropy, factor * d.uniform,    factor * d.focal};
}

/// The totals of a group, or of all groups. add_class() computes them; add() and add_group() add them up.
struct GroupTotals {
  double counted;                 // classes that the overlap counts; in a total, losses that its mean divides by
  double numerator, denominator;  // of losses that sum over the classes, absent classes apart
  double absent_numerator, absent_denominator;  // generalized: of the absent classes, for a w_c of 1
  double largest_weight, heaviest;  // generalized: the largest w_c of the present classes, and how many have it
  double cross_entropy, cross_entropy_weight;
  double focal, focal_weight;
};

WARPDICE_HOST_DEVICE inline void add(GroupTotals& to, const GroupTotals& part) {
  to.counted += part.counted;
  to.numerator += part.numerator;
  to.denominator += part.denominator;
  to.absent_numerator += part.absent_numerator;
  to.absent_denominator += part.absent_denominator;
  if (part.largest_weight > to.largest_weight) to.heaviest = 0;
  if (part.largest_weight >= to.largest_weight) {
    to.largest_weight = part.largest_weight;
    to.heaviest += part.heaviest;
  }
  to.cross_entropy += part.cross_entropy;
  to.cross_entropy_weight += part.cross_entropy_weight;
  to.focal += part.focal;
  to.focal_weight += part.focal_weight;
}

/// Adds a whole group to the total.
WARPDICE_HOST_DEVICE inline void add_group(const LossOptions& options, GroupTotals& total, GroupTotals group) {
  if (options.sums_over_classes() && group.counted > 1) group.counted = 1;
  add(total, group);
}

/// Whether the overlap counts class c of these sums.
WARPDICE_HOST_DEVICE inline bool counted(const LossOptions& options, const Sums& sums, int64_t c) {
  if (options.kind == LossKind::wasserstein) return true;
  if (!options.background && c == 0) return false;
  if (sums.volume != 0) return true;
  return options.absent != Absent::skip && (options.kind != LossKind::generalized || options.absent == Absent::formula);
}

/// 1/V^2, 1/V or 1, with V taken as at least one voxel: a trace of a class must not outweigh all others.
WARPDICE_HOST_DEVICE inline double volume_weight(const LossOptions& options, double volume) {
  const double V = volume < 1 ? 1 : volume;
  if (options.weighting == Weighting::uniform) return 1;
  return options.weighting == Weighting::simple ? 1 / V : 1 / (V * V);
}

/// d volume_weight / dV.
WARPDICE_HOST_DEVICE inline double volume_weight_slope(const LossOptions& options, double volume) {
  if (volume < 1 || options.weighting == Weighting::uniform) return 0;
  return options.weighting == Weighting::simple ? -1 / (volume * volume) : -2 / (volume * volume * volume);
}

/// The weight of an absent class. It weighs as much as the heaviest present one: its false positives count
/// like those of the rarest class, and not without bound. With no class present all weigh 1.
WARPDICE_HOST_DEVICE inline double absent_weight(const GroupTotals& group) {
  return group.largest_weight > 0 ? group.largest_weight : 1;
}

/// The factor of U in the smoothed cross-entropy (1-s)*E + share*U.
WARPDICE_HOST_DEVICE inline double uniform_share(const LossOptions& options, int64_t classes) {
  return options.sigmoid ? options.label_smoothing : options.label_smoothing / static_cast<double>(classes);
}

/// Adds class c to the totals of its group. sums: of this group and class.
///
/// CE of Reduction::mean: sum_c k_c*((1-s)*E_c + s/C*U_c) / sum_c k_c*V_c over the whole batch, k_c the class weight;
/// sigmoid: sum_c k_c*((1-s)*E_c + s*U_c) / sum_c k_c*W_c. Focal: sum_c k_c*F_c / sum_c k_c*W_c, which without class
/// weights is the mean over all voxels and classes.
WARPDICE_HOST_DEVICE inline void add_class(const LossOptions& options, int64_t classes, int64_t c, const Sums& sums,
                                           GroupTotals& group) {
  GroupTotals part = {};
  const double k = options.class_weight(c);
  if (options.cross_entropy_factor != 0) {
    const double smoothed = weighted(uniform_share(options, classes), sums.uniform);
    part.cross_entropy = weighted(k, weighted(1 - options.label_smoothing, sums.cross_entropy) + smoothed);
    part.cross_entropy_weight = k * (options.sigmoid ? sums.weight : sums.volume);
  }
  if (options.focal_factor != 0) {
    part.focal = weighted(k, sums.focal);
    part.focal_weight = k * sums.weight;
  }
  const bool counts = counted(options, sums, c);
  if (counts) part.counted = 1;
  if (counts && options.kind == LossKind::generalized) {
    if (sums.volume == 0) {
      part.absent_numerator = weighted(k, 2 * sums.intersection);
      part.absent_denominator = weighted(k, sums.prediction + sums.target);
    } else {
      part.largest_weight = volume_weight(options, sums.volume);
      part.heaviest = 1;
      part.numerator = weighted(k * part.largest_weight, 2 * sums.intersection);
      part.denominator = weighted(k * part.largest_weight, sums.prediction + sums.target);
    }
  } else if (counts && options.kind == LossKind::wasserstein) {
    const int64_t b = options.background_index;
    if (c != b) part.numerator = 2 * k * (options.distances[c * classes + b] * sums.volume - sums.intersection);
    part.denominator = part.numerator + sums.intersection;
  }
  add(group, part);
}

/// L = f(r) and dL/dr.
struct Transformed {
  double value, slope;
};

WARPDICE_HOST_DEVICE inline Transformed transformed(const LossOptions& options, double r) {
  constexpr double kLeast = 1e-12;  // of r, under a logarithm
  const double x = 1 - r;
  switch (options.transform) {
    case Transform::none:
      break;
    case Transform::power: {
      if (x <= 0) return {0, 0};
      const double value = pow(x, 1 / options.gamma);
      return {value, -value / (options.gamma * x)};
    }
    case Transform::log: {
      if (r >= 1) return {0, 0};
      const bool clamped = r < kLeast;
      const double l = -log(clamped ? kLeast : r), value = pow(l, options.gamma);
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

/// Dice, Jaccard, Tversky of one class: r = A/B with A = a*I + s_n and B = x*P + y*T + z*I + s_d.
WARPDICE_HOST_DEVICE inline Loss class_loss(const LossOptions& options, const Sums& sums) {
  Loss loss = {};
  if (sums.volume == 0 && options.absent == Absent::perfect) return loss;
  if (sums.volume == 0 && options.absent == Absent::worst) {
    loss.value = 1;
    return loss;
  }
  const bool dice = options.kind == LossKind::dice, tversky = options.kind == LossKind::tversky;
  const double a = dice ? 2 : 1, x = tversky ? options.alpha : 1, y = tversky ? options.beta : 1;
  const double z = dice ? 0 : 1 - x - y;
  const double A = a * sums.intersection + options.smooth_numerator;
  const double B = x * sums.prediction + y * sums.target + z * sums.intersection + options.smooth_denominator;
  const double r = A / B;
  const Transformed f = transformed(options, r);
  loss.value = f.value;
  loss.d.intersection = f.slope * ((a - z * r) / B);
  loss.d.prediction = -f.slope * (x * (r / B));
  loss.d.target = -f.slope * (y * (r / B));
  return loss;
}

/// The loss of a group that sums over its classes, and its derivatives with respect to the sums of class c.
WARPDICE_HOST_DEVICE inline Loss group_loss(const LossOptions& options, int64_t classes, int64_t c, const Sums& sums,
                                            const GroupTotals& group) {
  Loss loss = {};
  if (group.counted == 0) return loss;
  const double absent = absent_weight(group);
  const double A = group.numerator + absent * group.absent_numerator + options.smooth_numerator;
  const double B = group.denominator + absent * group.absent_denominator + options.smooth_denominator;
  const double r = A / B;
  const Transformed f = transformed(options, r);
  loss.value = f.value;
  if (!counted(options, sums, c)) return loss;
  const double dA = f.slope / B, dB = -f.slope * (r / B), k = options.class_weight(c);
  if (options.kind == LossKind::wasserstein) {
    const int64_t b = options.background_index;
    const double at_distance = c == b ? 0 : 2 * k * (dA + dB);  // of M[c,b]*V_c - I_c
    loss.d.intersection = dB - at_distance;
    loss.d.volume = c == b ? 0 : options.distances[c * classes + b] * at_distance;
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

/// The result of class_term() for one (g,c).
struct ClassTerm {
  double loss;     // L of the class, or of its group; weighted by nothing
  double overlap;  // what it adds to the reduced overlap
  Coefficients d;  // of the reduced value
};

/// The factor of a sum in the value: 1/weight, or 1 for Reduction::sum; 0 when the weight is 0.
WARPDICE_HOST_DEVICE inline double mean_factor(const LossOptions& options, double weight) {
  if (options.reduction == Reduction::sum) return 1;
  return weight > 0 || weight != weight ? 1 / weight : 0;
}

WARPDICE_HOST_DEVICE inline double cross_entropy_part(const LossOptions& options, const GroupTotals& over) {
  return weighted(mean_factor(options, over.cross_entropy_weight), over.cross_entropy);
}

WARPDICE_HOST_DEVICE inline double focal_part(const LossOptions& options, const GroupTotals& over) {
  return weighted(mean_factor(options, over.focal_weight), over.focal);
}

/// Reduction::none with [groups] values is a mean within each group and does not use the total.
WARPDICE_HOST_DEVICE inline ClassTerm class_term(const LossOptions& options, int64_t classes, int64_t c,
                                                 const Sums& sums, const GroupTotals& group, const GroupTotals& total) {
  const bool none = options.reduction == Reduction::none;
  const GroupTotals& over = none ? group : total;
  ClassTerm result = {};
  const bool of_group = options.sums_over_classes();
  const Loss loss = of_group ? group_loss(options, classes, c, sums, group) : class_loss(options, sums);
  result.loss = loss.value;
  // A class that is not counted must not turn the total into NaN.
  if (of_group || counted(options, sums, c)) {
    double factor = of_group ? 1 : options.class_weight(c);
    const bool divides = none ? options.compound() && !of_group : options.reduction == Reduction::mean;
    if (divides) factor = over.counted > 0 ? factor / over.counted : 0;
    if (!of_group || c == 0) result.overlap = weighted(factor, loss.value);
    result.d = weighted(factor * options.overlap_factor, loss.d);
  }
  const double k = options.class_weight(c);
  if (options.cross_entropy_factor != 0) {
    const double factor = mean_factor(options, over.cross_entropy_weight);
    const double scale = options.cross_entropy_factor * k * factor;
    result.d.cross_entropy = scale * (1 - options.label_smoothing);
    result.d.uniform = scale * uniform_share(options, classes);
    const bool weight_varies = !options.sigmoid && options.reduction != Reduction::sum;
    if (weight_varies) result.d.volume -= weighted(scale, cross_entropy_part(options, over));
  }
  if (options.focal_factor != 0) {
    result.d.focal = options.focal_factor * k * mean_factor(options, over.focal_weight);
  }
  return result;
}

/// sums: [C].
WARPDICE_HOST_DEVICE inline GroupTotals totals_of_group(const LossOptions& options, int64_t classes, const Sums* sums) {
  GroupTotals group = {};
  for (int64_t c = 0; c < classes; c++) add_class(options, classes, c, sums[c], group);
  return group;
}

/// sums: [groups, C].
WARPDICE_HOST_DEVICE inline GroupTotals totals_of_all(const LossOptions& options, int64_t groups, int64_t classes,
                                                      const Sums* sums) {
  GroupTotals total = {};
  for (int64_t g = 0; g < groups; g++) add_group(options, total, totals_of_group(options, classes, sums + g * classes));
  return total;
}

/// The number of parts of a value: overlap, cross-entropy, focal, each without its lambda.
constexpr int kPartCount = 3;

/// Writes value[i] and parts[i], either of which may be null. over: the totals over which CE and focal are means.
WARPDICE_HOST_DEVICE inline void put_value(const LossOptions& options, int64_t i, double overlap,
                                           const GroupTotals& over, double* value, double* parts) {
  const double cross_entropy = options.cross_entropy_factor != 0 ? cross_entropy_part(options, over) : 0;
  const double focal = options.focal_factor != 0 ? focal_part(options, over) : 0;
  if (value) {
    value[i] = weighted(options.overlap_factor, overlap) + weighted(options.cross_entropy_factor, cross_entropy) +
               weighted(options.focal_factor, focal);
  }
  if (!parts) return;
  parts[i * kPartCount] = overlap;
  parts[i * kPartCount + 1] = cross_entropy;
  parts[i * kPartCount + 2] = focal;
}

/// groups: N, or 1 when pooled.
/// sums: [groups, C].
/// value: [value_count]. For Reduction::none, [groups,C]: class weight * loss, 0 where not counted. May be null.
/// parts: [value_count, 3]; may be null.
/// per_class: [groups, C], the loss of each (or of its group), weighted by nothing; may be null.
inline void finalize_value(const LossOptions& options, int64_t groups, int64_t classes, const Sums* sums, double* value,
                           double* parts, double* per_class) {
  const GroupTotals total = totals_of_all(options, groups, classes, sums);
  const bool none = options.reduction == Reduction::none, per_group = none && options.value_per_group();
  double reduced = 0;
  for (int64_t g = 0; g < groups; g++) {
    const GroupTotals group = totals_of_group(options, classes, sums + g * classes);
    double of_group = 0;
    for (int64_t c = 0; c < classes; c++) {
      const int64_t i = g * classes + c;
      const ClassTerm result = class_term(options, classes, c, sums[i], group, total);
      if (per_class) per_class[i] = result.loss;
      of_group += result.overlap;
      reduced += result.overlap;
      if (none && !per_group) put_value(options, i, result.overlap, group, value, parts);
    }
    if (per_group) put_value(options, g, of_group, group, value, parts);
  }
  if (!none) put_value(options, 0, reduced, total, value, parts);
}

/// coefficients: [groups, C]: scale * upstream * d value / d sums, for the groups [first, last).
/// upstream: [value_count], dL/dvalue of Reduction::none; null for the other reductions.
inline void finalize_coefficients(const LossOptions& options, int64_t classes, const Sums* sums,
                                  const GroupTotals& total, double scale, const double* upstream,
                                  Coefficients* coefficients, int64_t first, int64_t last) {
  for (int64_t g = first; g < last; g++) {
    const GroupTotals group = totals_of_group(options, classes, sums + g * classes);
    for (int64_t c = 0; c < classes; c++) {
      const int64_t i = g * classes + c;
      const double factor = scale * (upstream ? upstream[options.value_per_group() ? g : i] : 1.0);
      coefficients[i] = weighted(factor, class_term(options, classes, c, sums[i], group, total).d);
    }
  }
}

}  // namespace warpdice
