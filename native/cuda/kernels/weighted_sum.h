#pragma once
// The weighted sum of losses, for predictions at several scales. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/label_fault.h"

namespace warpdice::cuda {

/// A term of a weighted sum of losses, all in device memory.
struct WeightedTerm {
  double weight = 1;                  // 0 adds nothing, even to what is NaN
  int64_t count = 1;                  // elements of a value
  const double* value = nullptr;      // [count]
  const LabelFault* fault = nullptr;  // of the call that computed `value`; null: no such call
  double* sum = nullptr;              // [count]
  LabelFault* first_fault = nullptr;
  bool first = true;  // overwrites sum and first_fault; else they are added to
};

/// sum += weight * value. Copies `fault` to `first_fault` unless that has one already.
cudaError_t enqueue_add_weighted(const WeightedTerm& term, cudaStream_t stream);

}  // namespace warpdice::cuda
