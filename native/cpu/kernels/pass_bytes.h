#pragma once
// How much memory the passes reserve, on a SIMD target whose vectors have so many bytes.
#include "math/counts.h"

namespace warpdice::cpu {

/// Vectors of a class in a step.
constexpr int kStepVectors = 8;

/// Memory of every_term.h, in steps of all classes.
constexpr int kEveryTermArrays = 4;

/// With more classes than this, the pairs that occur are listed: a table per run would cost more than the run.
constexpr int64_t kMaxTabled = 32;

/// So many voxels of one pair of classes, which is a cell of math/counts.h.
struct PairCount {
  int64_t pair, count;
};

inline size_t step_bytes(int64_t classes, int vector_bytes) {
  return static_cast<size_t>(classes * kStepVectors * vector_bytes);
}

/// Steps that a KernelRun holds beside what it stages.
inline size_t held_steps(bool every_term) { return every_term ? 1 + kEveryTermArrays : 2; }

/// Of a KernelRun, beside what it stages: steps, and for each class 8 sums of a vector, a count and 7 numbers.
inline size_t run_bytes(const Inputs& in, bool every_term, int vector_bytes) {
  const size_t element_bytes = in.predictions.dtype == DType::float64 ? 8 : 4;
  const size_t of_class = static_cast<size_t>(8 * vector_bytes) + sizeof(int64_t) + 7 * element_bytes;
  return held_steps(every_term) * step_bytes(in.classes, vector_bytes) + static_cast<size_t>(in.classes) * of_class;
}

inline bool counts_in_table(const CountInputs& inputs) {
  return inputs.decision == Decision::threshold || inputs.in.classes <= kMaxTabled;
}

/// What is counted of a run.
inline size_t bytes_of_counts(const CountInputs& inputs, int64_t voxels) {
  if (!counts_in_table(inputs)) return static_cast<size_t>(voxels) * sizeof(PairCount);
  return static_cast<size_t>(inputs.cells()) * sizeof(int64_t);
}

}  // namespace warpdice::cpu
