#pragma once
// Step 2: from the statistics to the loss and to one coefficient per statistic. loss_formulas.h has the losses
// themselves. Shared by the CPU and CUDA: plain functions of a few numbers, in double; no allocation, nothing of std.
//
// A group is a sample, or the batch when pooled. The work has two parts, and threads can share each: add_class() adds
// each (g,c) to the totals of its group, and the groups add up to the total; then class_term() is a function of one
// (g,c), its group and the total.
#include <stdint.h>

#include "math/loss_formulas.h"

namespace warpdice {

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

/// over: what means divide by, the totals of all groups; those of this group for Reduction::none, whose [groups] values
/// are means within each group. pair: as in add_class().
WARPDICE_HOST_DEVICE inline ClassTerm class_term(const LossOptions& options, int64_t classes, int64_t c,
                                                 const Sums& sums, const GroupTotals& group, const GroupTotals& over,
                                                 double pair = 1) {
  const bool none = options.reduction == Reduction::none;
  ClassTerm result = {};
  const bool of_group = options.sums_over_classes();
  const Loss loss = of_group ? group_loss(options, classes, c, sums, group, pair) : class_loss(options, c, sums);
  result.loss = loss.value;
  // A class that is not counted must not turn the total into NaN.
  if (of_group || counted(options, sums, c)) {
    double factor = of_group ? 1 : options.class_weight(c) * pair;
    const bool divides = none ? options.compound() && !of_group : options.reduction == Reduction::mean;
    if (divides) factor = over.counted > 0 ? factor / over.counted : 0;
    if (!of_group || c == 0) result.overlap = weighted(factor, loss.value);
    result.d = weighted(factor * options.overlap_factor, loss.d);
  }
  if (options.cross_entropy_factor != 0) {
    const double factor = mean_factor(options, over.cross_entropy_weight);
    const double scale = options.cross_entropy_factor * options.entropy_weight(c) * factor * pair;
    result.d.cross_entropy = scale * (1 - options.label_smoothing);
    result.d.uniform = scale * uniform_share(options, classes);
    const bool of_voxels = options.sigmoid || options.unified != Unified::none;
    const bool weight_varies = !of_voxels && options.reduction != Reduction::sum;
    if (weight_varies) result.d.volume -= weighted(scale, cross_entropy_part(options, over));
  }
  if (options.focal_factor != 0) {
    const double factor = mean_factor(options, over.focal_weight) * pair;
    result.d.focal = options.focal_factor * options.focal_weight(c) * factor;
  }
  return result;
}

/// How often a class of a group counts, for add_class() and class_term(): by the weight that a call gives it. Pooled
/// sums have the weights of their samples in them; a class that counted in no sample does not count then.
WARPDICE_HOST_DEVICE inline double pair_weight(const LossOptions& options, double weight, const Sums& sums) {
  return options.pooled ? sums.weight != 0 : weight;
}

/// Weights of the pairs of group and class, [groups,C]; null for ones.
inline double pair_at(const LossOptions& options, const double* pairs, int64_t i, const Sums& sums) {
  return pairs ? pair_weight(options, pairs[i], sums) : 1;
}

/// sums, pairs: [C].
inline GroupTotals totals_of_group(const LossOptions& options, int64_t classes, const Sums* sums,
                                   const double* pairs = nullptr) {
  GroupTotals group = {};
  for (int64_t c = 0; c < classes; c++) {
    add_class(options, classes, c, sums[c], group, pair_at(options, pairs, c, sums[c]));
  }
  return group;
}

/// sums, pairs: [groups, C].
inline GroupTotals totals_of_all(const LossOptions& options, int64_t groups, int64_t classes, const Sums* sums,
                                 const double* pairs = nullptr) {
  GroupTotals total = {};
  for (int64_t g = 0; g < groups; g++, sums += classes, pairs += pairs ? classes : 0) {
    add_group(options, total, totals_of_group(options, classes, sums, pairs));
  }
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

/// What the groups add up to, from one call of finalize_groups() to the next.
struct ValueSums {
  double overlap = 0;
  GroupTotals total = {};
};

/// Step 2 of the groups [first, last), and of those after them in a later call.
/// sums: [last - first, C], theirs.
/// counted: of the totals of all groups.
/// pairs: of all groups.
/// value, parts, per_class: of all groups, see finalize_value(). Those of other reductions than none follow from
/// finalize_total() at the end.
inline void finalize_groups(const LossOptions& options, int64_t first, int64_t last, int64_t classes, const Sums* sums,
                            double counted, const double* pairs, double* value, double* parts, double* per_class,
                            ValueSums& all) {
  const bool none = options.reduction == Reduction::none, per_group = none && options.value_per_group();
  GroupTotals total = {};
  total.counted = counted;
  for (int64_t g = first; g < last; g++, sums += classes) {
    const double* const own = pairs ? pairs + g * classes : nullptr;
    const GroupTotals group = totals_of_group(options, classes, sums, own);
    add_group(options, all.total, group);
    double of_group = 0;
    for (int64_t c = 0; c < classes; c++) {
      const int64_t i = g * classes + c;
      const ClassTerm result =
          class_term(options, classes, c, sums[c], group, none ? group : total, pair_at(options, own, c, sums[c]));
      if (per_class) per_class[i] = result.loss;
      of_group += result.overlap;
      all.overlap += result.overlap;
      if (none && !per_group) put_value(options, i, result.overlap, group, value, parts);
    }
    if (per_group) put_value(options, g, of_group, group, value, parts);
  }
}

/// After the last group.
inline void finalize_total(const LossOptions& options, const ValueSums& all, double* value, double* parts) {
  if (options.reduction != Reduction::none) put_value(options, 0, all.overlap, all.total, value, parts);
}

/// groups: N, or 1 when pooled.
/// sums, pairs: [groups, C].
/// value: [value_count]. For Reduction::none, [groups,C]: class weight * loss, 0 where not counted. May be null.
/// parts: [value_count, 3]; may be null.
/// per_class: [groups, C], the loss of each (or of its group), weighted by nothing; may be null.
inline void finalize_value(const LossOptions& options, int64_t groups, int64_t classes, const Sums* sums, double* value,
                           double* parts, double* per_class, const double* pairs = nullptr) {
  const double counted = totals_of_all(options, groups, classes, sums, pairs).counted;
  ValueSums all;
  finalize_groups(options, 0, groups, classes, sums, counted, pairs, value, parts, per_class, all);
  finalize_total(options, all, value, parts);
}

/// sums, coefficients: of the groups [first, last), [last - first, C]: scale * upstream * d value / d sums.
/// upstream: [value_count], dL/dvalue of Reduction::none; null for the other reductions.
/// pairs: of all groups.
inline void finalize_coefficients(const LossOptions& options, int64_t classes, const Sums* sums,
                                  const GroupTotals& total, double scale, const double* upstream,
                                  Coefficients* coefficients, int64_t first, int64_t last,
                                  const double* pairs = nullptr) {
  for (int64_t g = first; g < last; g++, sums += classes, coefficients += classes) {
    const double* const own = pairs ? pairs + g * classes : nullptr;
    const GroupTotals group = totals_of_group(options, classes, sums, own);
    const GroupTotals& over = options.reduction == Reduction::none ? group : total;
    for (int64_t c = 0; c < classes; c++) {
      const double factor = scale * (upstream ? upstream[options.value_per_group() ? g : g * classes + c] : 1.0);
      const double pair = pair_at(options, own, c, sums[c]);
      coefficients[c] = weighted(factor, class_term(options, classes, c, sums[c], group, over, pair).d);
    }
  }
}

/// The sums and the coefficients of a sample among pooled ones, of these weights [C] of its classes: both are linear.
inline void weigh(const double* pairs, int64_t classes, Sums* sums) {
  for (int64_t c = 0; c < classes; c++) sums[c] = weighted(pairs[c], sums[c]);
}
inline void weigh(const double* pairs, int64_t classes, const Coefficients* from, Coefficients* to) {
  for (int64_t c = 0; c < classes; c++) to[c] = weighted(pairs[c], from[c]);
}

}  // namespace warpdice
