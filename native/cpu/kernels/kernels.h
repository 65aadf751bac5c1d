#pragma once
// What each SIMD target provides: steps 1 and 3 on a run of voxels of one sample. engine.cc picks the
// target once and hands out the runs. The files:
//   kernels (the table), kernel_run, statistics, gradient, target_gradient: cut a run into blocks and call the passes
//   gradient_path: where passes read and write; blocks, layout, rows: staging, layouts, dtypes
//   softmax, pointwise, every_term (with odds): the passes; steps: what they share; unit_range: values from 0 to 1
//   check_labels, count_labels, count, predicted_class: labels and hard metrics
//   product, row_product: what the logits of a head need; log_sums: a softmax in double
//   pass_bytes: how much memory the passes reserve
//   simd, elementary, dispatch: vectors, exponentials and logarithms, types for dtypes and options
#include "cpu/kernels/log_sums.h"
#include "cpu/kernels/pass_bytes.h"
#include "cpu/kernels/product.h"
#include "cpu/memory/workspace.h"
#include "math/counts.h"

namespace warpdice::cpu {

/// Runs start at a multiple of this many voxels: a whole number of steps on every target.
constexpr int64_t kRunAlignment = 128;

/// Voxels [begin, end) of sample n.
struct Run {
  int64_t n, begin, end;
};

/// What a run has counted, in its workspace: a table of all cells, or a list in which a pair may come several times.
struct RunCounts {
  const int64_t* table = nullptr;
  const PairCount* pairs = nullptr;
  int64_t pair_count = 0;
};

struct Kernels {
  const char* name;
  int vector_bytes;

  /// The target's invalid values.
  LabelFault (*check_target)(const Inputs& in, const Run& run);

  /// counts: [C + 1], added to: how many voxels each class has, and how many are ignored.
  void (*count_labels)(const Inputs& in, const Run& run, int64_t* counts);

  /// sums: [C], written. keep: null, or where the gradient of the same call will be written. Returns the values that
  /// should be from 0 to 1 and are not.
  LabelFault (*statistics)(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums, const GradientOut* keep);

  /// coefficients: [C]. kept: statistics() was given `out` to keep what the gradient needs.
  void (*gradient)(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
                   const GradientOut& out, bool kept);

  /// coefficients: [C]. out: dL/dt, in the layout of a dense float target.
  void (*target_gradient)(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
                          const GradientOut& out);

  /// counted: written unless there are faults.
  CountFaults (*count)(const CountInputs& inputs, const Run& run, Workspace& workspace, RunCounts& counted);

  /// For heads that are computed in float, and in double.
  const Products<float>* products;
  const Products<double>* products64;

  void (*log_sums)(const LogSums& all);
};

/// The target that this process runs.
const Kernels& kernels();

/// The target with the next shorter vectors, or null.
const Kernels* shorter_vectors(const Kernels& than);

}  // namespace warpdice::cpu
