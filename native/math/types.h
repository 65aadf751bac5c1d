#pragma once
// The inputs and outputs of the steps of a loss. No N-API, no CUDA.
//
// Every loss is three steps (finalize.h holds the second):
//   statistics   I = sum w*p*t, P = sum w*p^k, T = sum w*t^k, ...   per sample and class, over the voxels
//   finalize     the loss, and its derivative with respect to each statistic
//   gradient     dL/dp = w*(dI*t + dP*k*p^(k-1)), then the chain rule of the activation
//                cross-entropy and focal loss: q_c = dE_c*t_c + dU_c + dF_c*t_c*h(p_c), and
//                softmax dz_c += w*(p_c*sum_j q_j - q_c); cpu/kernels/every_term.h has the formulas
//
// N samples, C classes, S voxels; n, c, s are their indices.
#include <cstddef>
#include <cstdint>

#include "math/finalize.h"
#include "math/label_fault.h"

namespace warpdice {

enum class DType : uint8_t { float32, float64, float16, bfloat16, uint8, int32, int64, int16, uint16 };

/// Bytes of one element.
constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::float64:
    case DType::int64:
      return 8;
    case DType::float16:
    case DType::bfloat16:
    case DType::int16:
    case DType::uint16:
      return 2;
    case DType::uint8:
      return 1;
  }
  return 0;
}

// How half-precision numbers are stored. Nothing computes with them: they are widened to float first.
struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

/// A constant that is passed as an argument, visit(Flag<true>{}), so that a template can use it as a parameter.
template <bool kValue>
struct Flag {
  static constexpr bool value = kValue;
};
template <int kValue>
struct Number {
  static constexpr int value = kValue;
};

enum class Activation : uint8_t { none, sigmoid, softmax };

/// The definition of the sum I.
enum class Overlap : uint8_t {
  product,  // sum w*p*t
  minimum,  // sum w*min(p,t): P + T - sum w*|p-t| with k = 1, halved; never by cancellation. d/dp = [p<t], t at a tie
  wasserstein,  // sum w*t_c*sum_j M[c,j]*p_j, with a matrix M of distances between classes
};

/// A factor for each class; without factors they are ones.
struct ClassFactors {
  const double* factors = nullptr;  // [C], or [1]
  bool shared = false;              // one factor for all classes

  WARPDICE_ALWAYS_INLINE double at(int64_t c) const { return factors ? factors[shared ? 0 : c] : 1; }
};

/// An array that the caller owns, dense in memory.
struct Operand {
  const void* data = nullptr;
  DType dtype = DType::float32;
};

/// How many labels can be ignored: Cityscapes has 16 without a class.
constexpr int kMaxIgnored = 16;

/// The inputs of steps 1 and 3.
struct Inputs {
  int64_t samples = 0, classes = 0, voxels = 0;  // N, C, S; each at least 1
  bool channels_last = false;                    // [N,S,C] instead of [N,C,S]
  bool squared = true;                           // k = 2 instead of 1
  bool labels = true;                            // target is class indices [N,S], else dense like predictions
  bool has_ignore = false;
  bool cross_entropy = false;  // make the sum E; needs an activation, as do the next two
  bool uniform = false;        // make the sum U
  bool focal = false;          // make the sum F
  // Of GPUs: only the sum of E over the classes need be right, not E of each.
  bool entropy_of_all = false;
  Activation activation = Activation::none;
  Overlap overlap = Overlap::product;
  // Of the CPU: the arrays like the predictions are the engine's own, class after class, of the type of the
  // computation, and may be read and written up to the end of a step (cpu/head/tile.h).
  bool padded = false;
  int64_t ignore_index = 0;
  const int64_t* more_ignored = nullptr;  // on the host: other labels to ignore, see ignored.h
  int more_ignored_count = 0;             // below kMaxIgnored
  double focal_gamma = 2;                 // g of F, at least 0
  ClassFactors focal_alpha;               // alpha of F: of its term t; under a sigmoid 1-alpha is that of the term 1-t
  ClassFactors positive_weight;           // of the terms t of E and U, under a sigmoid
  const double* distances = nullptr;      // M [C,C], for Overlap::wasserstein
  Operand predictions;                    // logits or probabilities; any float dtype
  Operand target;                         // labels: any integer dtype. dense: uint8 (0 or 1) or any float dtype
  Operand weight;                         // [N,S], uint8 or any float dtype; data is null when every voxel counts once
  Operand class_weight;  // instead of it: a weight for each class of a voxel, laid out as the predictions

  /// Whether the classes of a voxel are neighbours in memory. With one class or one voxel both layouts are the same.
  bool interleaved() const { return channels_last && classes > 1 && voxels > 1; }

  /// Whether the passes for the commonest calls can do it: the sums of Overlap::product, E and U, one weight per voxel.
  bool plain() const { return overlap == Overlap::product && !focal && !class_weight.data && !positive_weight.factors; }

  /// Whether the gradient of a class depends on the other classes of the voxel.
  WARPDICE_ALWAYS_INLINE bool mixes_classes() const {
    return activation == Activation::softmax || overlap == Overlap::wasserstein;
  }

  /// Whether voxels have weights; an ignore index gives some voxels weight 0.
  bool weighted() const { return weight.data || class_weight.data || has_ignore; }
};

/// Where step 3 writes, in the layout of the predictions.
struct GradientOut {
  void* data = nullptr;
  DType dtype = DType::float32;  // that of the predictions, or float32 for half-precision predictions
  bool accumulate = false;       // add to what is there
  bool streaming = false;        // write around the caches where possible: for arrays larger than the caches
};

}  // namespace warpdice
