#pragma once
// One call of a loss: which steps to do, on what, and where the results go.
#include "math/types.h"

namespace warpdice {

enum Step : uint32_t { kStatistics = 1, kFinalize = 2, kGradient = 4, kTargetGradient = 8 };

/// Some settings are in the inputs and in the options, because a step sees only one of the two. This copies them: from
/// the options' factors follows which sums step 1 computes; the options get the inputs' activation and distances.
inline void make_consistent(Inputs& in, LossOptions& options) {
  in.cross_entropy = options.cross_entropy_factor != 0;
  in.uniform = in.cross_entropy && options.label_smoothing != 0;
  in.focal = options.focal_factor != 0;
  options.sigmoid = in.activation == Activation::sigmoid;
  options.distances = in.distances;
}

/// A 1x1 convolution whose results are the logits, z_c = sum_k weight[c,k] * x_k + bias_c. The engine makes them for a
/// few voxels at a time. A call with a head has features for predictions: [N,K,S], or [N,S,K].
struct Head {
  int64_t channels = 0;     // K; 0: there is no head, the predictions are in memory
  Operand weight;           // [C,K]
  Operand bias;             // [C]; data is null without one
  GradientOut weight_grad;  // data is null where it is not wanted, as for those of the bias and of the features
  GradientOut bias_grad;
};

struct Call {
  uint32_t steps = 0;
  Inputs in;
  Head head;
  LossOptions options;
  double* statistics = nullptr;      // [groups,C] of Sums: written by kStatistics (may be null then), else read
  const double* pairs = nullptr;     // [groups,C], or [N,C] when pooled: how often a sample's class counts; null: once
  const double* upstream = nullptr;  // [value_count], for Reduction::none with a gradient
  bool reproducible = false;         // step 1 gives sums that add up without rounding, on the CPU
  double scale = 1;                  // multiplies the gradients
  double* value = nullptr;           // written by kFinalize: [value_count]
  double* parts = nullptr;           // written by kFinalize: [value_count,3]; may be null
  double* per_class = nullptr;       // written by kFinalize: [groups,C]; may be null
  GradientOut grad;                  // written by kGradient
  GradientOut target_grad;           // written by kTargetGradient: dL/dt of a dense target, in its layout and dtype
  int64_t statistics_samples = 0;    // N of `statistics` where parts were merged, else 0: in.samples. The call's
  int64_t sample_offset = 0;         // samples are [sample_offset, sample_offset + in.samples) of them

  int64_t groups() const { return options.pooled ? 1 : statistics_samples ? statistics_samples : in.samples; }
  /// Numbers per voxel of the predictions' array.
  int64_t channels() const { return head.channels ? head.channels : in.classes; }
  bool reads() const { return steps & (kStatistics | kGradient | kTargetGradient); }
};

}  // namespace warpdice
