#pragma once
// Hard metrics: counts how often each class is predicted for each target class. One pass over predictions and target;
// exact integers.
//
// One class per voxel (argmax, label maps): a confusion matrix per sample, counts[n][t][p], t and p in [0, C]. Row C
// are voxels whose target names no class, column C those whose prediction names none: a NaN among a voxel's
// predictions. Each class by itself (threshold): counts[n][c][t][p], t and p in {0, 1}.
#include "math/types.h"

namespace warpdice {

/// How predictions become classes.
enum class Decision : uint8_t {
  argmax,     // the class of the largest prediction; the lowest class at a tie
  threshold,  // each class where it is above the threshold
  labels,     // the predictions are class indices [N,S]
};

struct CountInputs {
  Inputs in;  // weight: voxels of weight 0 are left out, others count once. The sums' options are not read
  Decision decision = Decision::argmax;
  double threshold = 0.5;  // rounded to float32 unless the predictions are float64

  /// Numbers per sample.
  int64_t cells() const {
    return decision == Decision::threshold ? 4 * in.classes : (in.classes + 1) * (in.classes + 1);
  }
};

struct CountFaults {
  LabelFault predictions, target;
};

}  // namespace warpdice
