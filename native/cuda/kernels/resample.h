#pragma once
// What predictions at several scales need besides the engine: a target at their size, and the weighted sum of their
// losses. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/label_fault.h"
#include "math/resample.h"

namespace warpdice::cuda {

/// Why enqueue_resample() cannot do this, in words; null when it can.
const char* unsupported(const Resampling& shape);

/// resample_nearest() of ../resample.h on device memory.
cudaError_t enqueue_resample(const Resampling& shape, const void* from, void* to, cudaStream_t stream);

/// A term of a weighted sum of losses, all in device memory.
struct WeightedTerm {
  double weight = 1;                  // 0 adds nothing, even to what is NaN
  int64_t count = 1;                  // elements of a value
  const double* value = nullptr;      // [count]
  const LabelFault* fault = nullptr;  // of the call that made it; null: no such call
  double* sum = nullptr;              // [count]
  LabelFault* first_fault = nullptr;
  bool first = true;  // sum and first_fault are written, else added to
};

/// sum += weight * value; first_fault becomes `fault` unless it has one.
cudaError_t enqueue_add(const WeightedTerm& term, cudaStream_t stream);

}  // namespace warpdice::cuda
