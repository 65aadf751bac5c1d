#pragma once
// Softmax and its logarithm in double, of voxels whose logits lie class by class.
#include <stdint.h>

namespace warpdice::cpu {

struct LogSums {
  /// Voxels are taken so many at a time: what `count` leaves of that is read and written too.
  static constexpr int64_t kStep = 32;

  int64_t classes, count;
  double* logits;  // of class c from c * stride on
  int64_t stride;
  /// Written, by voxel: the largest logit, sum_c e^(logit - largest), and the logarithm of this sum.
  double *largest, *sum, *log_sum;
  /// Whether e^(logit - largest) replaces each logit.
  bool replaces;
};

}  // namespace warpdice::cpu
