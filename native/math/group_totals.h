#pragma once
// The first half of step 2: what the classes of a group add up to. Shared by the CPU and CUDA.
#include <stdint.h>

#include "math/loss_options.h"
#include "math/matthews.h"

namespace warpdice {

/// factor * x; 0 for a factor of 0, even where x is infinite or NaN, such as the cross-entropy of a forbidden class.
WARPDICE_HOST_DEVICE inline double weighted(double factor, double x) { return factor == 0 ? 0 : factor * x; }

/// The same for each derivative.
WARPDICE_HOST_DEVICE inline Coefficients weighted(double factor, const Coefficients& d) {
  if (factor == 0) return {};
  return {factor * d.intersection,  factor * d.prediction, factor * d.target, factor * d.volume,
          factor * d.cross_entropy, factor * d.uniform,    factor * d.focal};
}

/// The same for each sum.
WARPDICE_HOST_DEVICE inline Sums weighted(double factor, const Sums& s) {
  if (factor == 0) return {};
  return {factor * s.intersection, factor * s.prediction,    factor * s.target,  factor * s.volume,
          factor * s.weight,       factor * s.cross_entropy, factor * s.uniform, factor * s.focal};
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

/// 1/V^2, 1/V or 1, with V taken as at least one voxel: a trace of a class must not outweigh all others. Or 1/(V+1).
WARPDICE_HOST_DEVICE inline double volume_weight(const LossOptions& options, double volume) {
  if (options.weighting == Weighting::plus_one) return 1 / (volume + 1);
  const double V = volume < 1 ? 1 : volume;
  if (options.weighting == Weighting::uniform) return 1;
  return options.weighting == Weighting::simple ? 1 / V : 1 / (V * V);
}

/// d volume_weight / dV.
WARPDICE_HOST_DEVICE inline double volume_weight_slope(const LossOptions& options, double volume) {
  if (options.weighting == Weighting::plus_one) return -1 / ((volume + 1) * (volume + 1));
  if (volume < 1 || options.weighting == Weighting::uniform) return 0;
  return options.weighting == Weighting::simple ? -1 / (volume * volume) : -2 / (volume * volume * volume);
}

/// The weight of an absent class. It weighs as much as the heaviest present one: its false positives count
/// like those of the rarest class, and not without bound. With no class present all weigh 1.
WARPDICE_HOST_DEVICE inline double absent_weight(const GroupTotals& group) {
  return group.largest_weight > 0 ? group.largest_weight : 1;
}

/// Class c in the Wasserstein loss: its weights in A and beside it, where 2A + sum_c I_c has I_c, and the distance from
/// which A measures. A weight in the form of generalized Dice is that of both, and counts the background b too.
struct WassersteinClass {
  double in_a, beside_a, distance;
};

WARPDICE_HOST_DEVICE inline WassersteinClass wasserstein_class(const LossOptions& options, int64_t classes, int64_t c,
                                                               double volume) {
  const int64_t b = options.background_index;
  const double k = options.class_weight(c);
  const double distance = options.largest_distance > 0 ? options.largest_distance : options.distances[c * classes + b];
  if (options.weighting != Weighting::plus_one) return {c == b ? 0 : k, 1, distance};
  const double w = k * volume_weight(options, volume);
  return {w, w, distance};
}

/// Matthews' correlation of a whole group keeps what it adds up in the four sums of ratios: micro I, P, T and W,
/// multiclass A, X and Y.
WARPDICE_HOST_DEVICE inline void put_micro(GroupTotals& part, double k, const Sums& sums) {
  part.numerator = weighted(k, sums.intersection);
  part.denominator = weighted(k, sums.prediction);
  part.absent_numerator = weighted(k, sums.target);
  part.absent_denominator = weighted(k, sums.weight);
}

WARPDICE_HOST_DEVICE inline Sums micro_sums(const GroupTotals& group) {
  Sums sums = {};
  sums.intersection = group.numerator;
  sums.prediction = group.denominator;
  sums.target = group.absent_numerator;
  sums.weight = group.absent_denominator;
  return sums;
}

WARPDICE_HOST_DEVICE inline void put_multiclass(GroupTotals& part, double k, const Correlation& x) {
  part.numerator = weighted(k, x.joint);
  part.denominator = weighted(k, x.prediction);
  part.absent_numerator = weighted(k, x.target);
}

WARPDICE_HOST_DEVICE inline Correlation multiclass_correlation(const GroupTotals& group) {
  return {group.numerator, group.denominator, group.absent_numerator};
}

/// The factor of U in the smoothed cross-entropy (1-s)*E + share*U.
WARPDICE_HOST_DEVICE inline double uniform_share(const LossOptions& options, int64_t classes) {
  if (options.label_smoothing == 0) return 0;  // without a division
  return options.sigmoid ? options.label_smoothing : options.label_smoothing / static_cast<double>(classes);
}

/// Adds class c to the totals of its group. sums: of this group and class. pair: how often the class of this group
/// counts, a factor of its class weight and of its part in what means divide by; 0: not at all.
///
/// CE of Reduction::mean: sum_c k_c*((1-s)*E_c + s/C*U_c) / sum_c k_c*V_c over the whole batch, k_c the class weight,
/// or that of the cross-entropy; sigmoid: sum_c k_c*((1-s)*E_c + s*U_c) / sum_c k_c*W_c. Focal: sum_c k_c*F_c / sum_c
/// k_c*W_c, which without class weights is the mean over all voxels and classes.
WARPDICE_HOST_DEVICE inline void add_class(const LossOptions& options, int64_t classes, int64_t c, const Sums& sums,
                                           GroupTotals& group, double pair = 1) {
  GroupTotals part = {};
  const double k = options.class_weight(c) * pair;
  if (options.cross_entropy_factor != 0) {
    const double smoothed = weighted(uniform_share(options, classes), sums.uniform);
    const double of_entropy = options.entropy_weight(c) * pair;
    part.cross_entropy = weighted(of_entropy, weighted(1 - options.label_smoothing, sums.cross_entropy) + smoothed);
    const bool of_voxels = options.sigmoid || options.unified != Unified::none;
    part.cross_entropy_weight =
        options.counted_weight(of_entropy, of_voxels ? sums.weight : sums.volume, classes, pair);
  }
  if (options.focal_factor != 0) {
    part.focal = weighted(options.focal_weight(c) * pair, sums.focal);
    part.focal_weight = options.counted_weight(k, sums.weight, classes, pair);
  }
  const bool counts = pair != 0 && counted(options, sums, c);
  if (counts) part.counted = options.sums_over_classes() ? 1 : pair;
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
    const WassersteinClass of = wasserstein_class(options, classes, c, sums.volume);
    part.numerator = weighted(2 * of.in_a, of.distance * sums.volume - sums.intersection);
    part.denominator = part.numerator + weighted(of.beside_a, sums.intersection);
  } else if (counts && options.kind == LossKind::micro_matthews) {
    put_micro(part, k, sums);
  } else if (counts && options.kind == LossKind::multiclass_matthews) {
    put_multiclass(part, k, correlation(options, sums));
  }
  add(group, part);
}

}  // namespace warpdice
