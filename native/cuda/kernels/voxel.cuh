#pragma once
// Reads and writes what belongs to a voxel: its label and weight, a dense target, the gradient.
//
// P: the type that predictions are stored as. A: the type that kernels compute with, double for double, else float.
#include "cuda/kernels/pack.cuh"
#include "math/label.h"
#include "math/types.h"

namespace warpdice::cuda {

template <class P>
using Accumulator = std::conditional_t<std::is_same_v<P, double>, double, float>;

/// Predictions that one thread reads at once.
template <class P>
constexpr int kPackOf = 16 / sizeof(P);

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline float widen(uint8_t x) { return x; }
__device__ inline void narrow(float x, float& to) { to = x; }
__device__ inline void narrow(double x, double& to) { to = x; }

/// Invalid values of one array.
struct FaultCounter {
  unsigned long long faults;
  unsigned long long largest_complement;  // ~index of the first one: the largest, as its index is the smallest
};

/// What a block has counted, or all blocks of a call.
struct Counters {
  FaultCounter target, predictions;
};

/// Where the blocks of step 1 leave what step 2 reads besides the sums. Nobody clears this memory between calls: a call
/// that failed half-way leaves nothing that the next one sees.
struct Notes {
  Counters* of_blocks;  // of each block of step 1
  Counters* total;      // step 2 adds them up here
  unsigned* ticket;     // blocks of finish_kernel that have ended

  /// The block's counters.
  __device__ Counters* own() const { return of_blocks + blockIdx.x; }

  /// Clears the block's counters, and the first block what step 2 counts in. All threads of the block must call it.
  __device__ void begin() const {
    if (threadIdx.x == 0) {
      *own() = {};
      if (blockIdx.x == 0) {
        *total = {};
        *ticket = 0;
      }
    }
    __syncthreads();  // the counters are clear
  }
};

/// index: of the invalid value in the array.
__device__ inline void note_fault(FaultCounter& counter, int64_t index) {
  atomicAdd(&counter.faults, 1ull);
  atomicMax(&counter.largest_complement, ~static_cast<unsigned long long>(index));
}

/// Counts a prediction, element `index`, of weight w that should be a probability and is none.
template <class A>
__device__ void check_probability(const Inputs& in, A w, A p, int64_t index, Counters* counters) {
  if (in.activation == Activation::none && w != 0 && outside_unit(p)) note_fault(counters->predictions, index);
}

/// Loads kCount elements of type T from element i on, and widens them. Elements from `count` on are 0.
template <class T, class A, int kCount>
__device__ void load_as(const void* data, int64_t i, int64_t count, A (&to)[kCount]) {
  T raw[kCount];
  load(static_cast<const T*>(data) + i, count, raw);
  for (int j = 0; j < kCount; j++) to[j] = widen(raw[j]);
}

/// Loads a weight or a dense target: uint8, float32, or the predictions' dtype. widen_operands() has converted others.
template <class P, int kCount>
__device__ void load_operand(const Operand& operand, int64_t i, int64_t count, Accumulator<P> (&to)[kCount]) {
  if (operand.dtype == DType::uint8) load_as<uint8_t>(operand.data, i, count, to);
  else if (operand.dtype == DType::float32) load_as<float>(operand.data, i, count, to);
  else load_as<P>(operand.data, i, count, to);
}

/// What the classes of kCount neighbouring voxels share.
template <class A, int kCount>
struct Voxels {
  A weight[kCount];         // 0: the voxel contributes nothing, even where predictions are NaN
  int class_index[kCount];  // the class that the label names, the one with t = 1; negative: none

  /// kPart of them, from `first` on.
  template <int kPart>
  __device__ Voxels<A, kPart> part(int first) const {
    Voxels<A, kPart> some;
    for (int j = 0; j < kPart; j++) {
      some.weight[j] = weight[first + j];
      some.class_index[j] = class_index[first + j];
    }
    return some;
  }
};

template <class Label, class A, int kCount>
__device__ void decode_labels(const Inputs& in, int64_t i, int64_t count, Voxels<A, kCount>& voxels,
                              Counters* counters) {
  const LabelRule<Label> rule(in);
  Label labels[kCount];
  load(static_cast<const Label*>(in.target.data) + i, count, labels);
  for (int j = 0; j < kCount; j++) {
    if (rule.is_ignored(labels[j])) voxels.weight[j] = 0;
    else if (rule.is_valid(labels[j])) voxels.class_index[j] = static_cast<int>(rule.class_of(labels[j]));
    else if (counters && voxels.weight[j] != 0) note_fault(counters->target, i + j);
  }
}

/// Gives voxels of which no class has a weight of its own the weight 0.
template <class P, int kCount>
__device__ void hide_voxels(const Inputs& in, int64_t i, int64_t count, Voxels<Accumulator<P>, kCount>& voxels) {
  const int64_t C = in.classes, S = in.voxels;
  for (int j = 0; j < kCount && j < count; j++) {
    const int64_t n = (i + j) / S, s = (i + j) % S;
    bool has = false;
    for (int64_t c = 0; c < C && !has; c++) {
      Accumulator<P> own[1];
      load_operand<P>(in.class_weight, in.channels_last ? (i + j) * C + c : (n * C + c) * S + s, 1, own);
      has = own[0] != 0;
    }
    if (!has) voxels.weight[j] = 0;
  }
}

/// Loads the voxels from voxel i of [N,S] on. Those from `count` on get weight 0. counters: where invalid labels of a
/// weight other than 0 are counted; null when another thread counts them. kOwnWeights: each class may have its own.
template <class P, bool kOwnWeights = false, int kCount>
__device__ void load_voxels(const Inputs& in, int64_t i, int64_t count, Voxels<Accumulator<P>, kCount>& voxels,
                            Counters* counters) {
  if (in.weight.data) load_operand<P>(in.weight, i, count, voxels.weight);
  for (int j = 0; j < kCount; j++) {
    if (!in.weight.data) voxels.weight[j] = j < count ? 1 : 0;
    voxels.class_index[j] = -1;
  }
  if constexpr (kOwnWeights) {
    if (in.class_weight.data) hide_voxels<P>(in, i, count, voxels);
  }
  if (!in.labels) return;
  if (in.target.dtype == DType::uint8) decode_labels<uint8_t>(in, i, count, voxels, counters);
  else if (in.target.dtype == DType::int32) decode_labels<int32_t>(in, i, count, voxels, counters);
  else decode_labels<int64_t>(in, i, count, voxels, counters);
}

/// t of class c at kCount neighbouring voxels, of which the first is element i of a dense target. A voxel whose value
/// is to be ignored, in a one-class mask, gets weight 0. counters: where values outside [0, 1] of a weight
/// other than 0 are counted; null when another thread counts them.
template <class P, int kCount>
__device__ void load_target(const Inputs& in, int c, int64_t i, int64_t count, Voxels<Accumulator<P>, kCount>& voxels,
                            Accumulator<P> (&t)[kCount], Counters* counters) {
  if (in.labels) {
    for (int j = 0; j < kCount; j++) t[j] = voxels.class_index[j] == c ? 1 : 0;
    return;
  }
  load_operand<P>(in.target, i, count, t);
  for (int j = 0; j < kCount; j++) {
    if (in.has_ignore && t[j] == static_cast<Accumulator<P>>(in.ignore_index)) voxels.weight[j] = 0;
    else if (counters && outside_unit(t[j]) && voxels.weight[j] != 0) note_fault(counters->target, i + j);
  }
}

/// Writes, or adds, elements from i on as type T.
template <class T, class A, int kCount>
__device__ void store_as(const GradientOut& out, int64_t i, int64_t count, const A (&x)[kCount]) {
  T* to = static_cast<T*>(out.data) + i;
  T raw[kCount];
  if (out.accumulate) load(to, count, raw);
  for (int j = 0; j < kCount; j++) narrow(out.accumulate ? widen(raw[j]) + x[j] : x[j], raw[j]);
  store(to, count, raw);
}

/// Writes, or adds, element i of an array of any float dtype.
template <class A>
__device__ void store_element(const GradientOut& out, int64_t i, A x) {
  const A one[1] = {x};
  if (out.dtype == DType::float32) store_as<float>(out, i, 1, one);
  else if (out.dtype == DType::float64) store_as<double>(out, i, 1, one);
  else if (out.dtype == DType::float16) store_as<Float16>(out, i, 1, one);
  else store_as<BFloat16>(out, i, 1, one);
}

/// Writes, or adds, elements of the gradient from i on.
template <class P, int kCount>
__device__ void store_gradient(const GradientOut& out, int64_t i, int64_t count, const Accumulator<P> (&x)[kCount]) {
  if constexpr (sizeof(P) == 2) {
    if (out.dtype == DType::float32) return store_as<float>(out, i, count, x);
  }
  store_as<P>(out, i, count, x);
}

}  // namespace warpdice::cuda
