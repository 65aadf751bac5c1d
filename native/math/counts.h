#pragma once
// Hard metrics: counts how often each class is predicted for each target class. One pass over predictions and target;
// exact integers.
//
// The counts of all samples together, their cells, are for one class per voxel (argmax, label maps) a confusion matrix:
// [t][p], t and p in [0, C]. Row C are voxels whose target names no class, column C those whose prediction names none:
// a NaN among a voxel's predictions. For each class by itself (threshold) they are [c][t][p], t and p in {0, 1}.
//
// Masks, which are arrays of integers with one value per class, are 0 and 1. As argmax sees them, no class of a voxel
// is predicted, or is its target, where all are 0.
//
// Beside them each sample may have a row of TN, FP, FN and TP of each class, [C][4].
#include "math/types.h"

namespace warpdice {

/// How predictions become classes.
enum class Decision : uint8_t {
  argmax,     // the class of the largest prediction; the lowest class at a tie
  threshold,  // each class where it is above the threshold
  labels,     // the predictions are class indices [N,S]
};

constexpr int64_t cells_of(Decision decision, int64_t classes) {
  return decision == Decision::threshold ? 4 * classes : (classes + 1) * (classes + 1);
}

struct CountInputs {
  Inputs in;  // voxels of weight 0 are left out, others count once; class_weight: for Decision::threshold. The sums'
              // options are not read
  Decision decision = Decision::argmax;
  double threshold = 0.5;  // rounded to float32 unless the predictions are float64
  bool by_sample = false;  // whether each sample has a row

  int64_t cells() const { return cells_of(decision, in.classes); }

  /// Whether the predictions are masks, of integers 0 and 1, instead of floats or label maps.
  WARPDICE_HOST_DEVICE bool predicts_masks() const {
    return decision != Decision::labels && in.predictions.dtype >= DType::uint8;
  }

  /// Whether the predictions must be probabilities: logits have no use for such a threshold.
  WARPDICE_HOST_DEVICE bool predicts_probabilities() const {
    return decision == Decision::threshold && !predicts_masks() && threshold > 0 && threshold < 1;
  }
};

struct CountFaults {
  LabelFault predictions, target;

  bool any() const { return predictions.count + target.count > 0; }
  void add(const CountFaults& other) {
    predictions.add(other.predictions);
    target.add(other.target);
  }
};

/// The numbers of a row to which the voxels of a cell add; -1 for none. TN of class 0 first counts all voxels of a
/// confusion matrix: fill_in_true_negatives() makes TN of every class from that.
struct RowPlaces {
  int64_t places[3];
};

WARPDICE_ALWAYS_INLINE RowPlaces row_places(Decision decision, int64_t classes, int64_t cell) {
  if (decision == Decision::threshold) return {{cell, -1, -1}};
  const int64_t t = cell / (classes + 1), p = cell % (classes + 1);
  if (t == p) return {{0, t < classes ? 4 * t + 3 : -1, -1}};
  return {{0, p < classes ? 4 * p + 1 : -1, t < classes ? 4 * t + 2 : -1}};
}

inline void fill_in_true_negatives(int64_t classes, int64_t* row) {
  const int64_t all = row[0];
  for (int64_t c = 0; c < classes; c++) row[4 * c] = all - row[4 * c + 1] - row[4 * c + 2] - row[4 * c + 3];
}

}  // namespace warpdice
