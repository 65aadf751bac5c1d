#pragma once
// One voxel at a time: where it lies, its target and weight, and the slope of the loss at it.
//
// P: what predictions are stored as. A: what is computed with, double for double and else float.
#include "device_api.h"
#include "engine.h"

namespace warpdice::cuda {

template <class P>
struct AccumulatorOf {
  using type = float;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};
template <class P>
using Accumulator = typename AccumulatorOf<P>::type;

__device__ inline float widen(float x) { return x; }
__device__ inline double widen(double x) { return x; }
__device__ inline void narrow(float x, float& to) { to = x; }
__device__ inline void narrow(double x, double& to) { to = x; }

/// Element (n, c, s) of the predictions lies at n*sample + c*channel + s*voxel.
struct Strides {
  int64_t sample, channel, voxel;

  __device__ int64_t at(int64_t n, int64_t c, int64_t s) const { return n * sample + c * channel + s * voxel; }
};

inline Strides strides(const Inputs& in) {
  const int64_t per_sample = in.classes * in.voxels;
  return in.channels_last ? Strides{per_sample, 1, in.classes} : Strides{per_sample, in.voxels, 1};
}

/// A weight or a dense target: uint8, float32, or stored as the predictions are.
template <class P>
__device__ Accumulator<P> read(const Operand& operand, int64_t i) {
  if (operand.dtype == DType::uint8) return static_cast<const uint8_t*>(operand.data)[i];
  if (operand.dtype == DType::float32) return static_cast<const float*>(operand.data)[i];
  return widen(static_cast<const P*>(operand.data)[i]);
}

__device__ inline int64_t read_label(const Operand& operand, int64_t i) {
  if (operand.dtype == DType::uint8) return static_cast<const uint8_t*>(operand.data)[i];
  if (operand.dtype == DType::int32) return static_cast<const int32_t*>(operand.data)[i];
  return static_cast<const int64_t*>(operand.data)[i];
}

/// What blocks count together; all start as 0.
struct Counters {
  unsigned long long faults, largest_complement;  // invalid values of the target; of the smallest index
  unsigned ticket;                                // blocks of finish_kernel that have ended
};

__device__ inline void note_fault(Counters* counters, int64_t index) {
  atomicAdd(&counters->faults, 1ull);
  atomicMax(&counters->largest_complement, ~static_cast<unsigned long long>(index));
}

/// What a voxel's classes have in common.
template <class A>
struct Voxel {
  A weight;       // 0: the voxel contributes nothing, even if it is NaN
  int64_t klass;  // from labels: the one class with t = 1, or a negative number
};

/// faults: null when the voxel's label is counted elsewhere.
template <class P>
__device__ Voxel<Accumulator<P>> read_voxel(const Inputs& in, int64_t n, int64_t s, Counters* faults) {
  const int64_t i = n * in.voxels + s;
  Voxel<Accumulator<P>> voxel{1, -1};
  if (in.weight.data) voxel.weight = read<P>(in.weight, i);
  if (!in.labels) return voxel;
  const int64_t label = read_label(in.target, i);
  const int64_t base = in.classes == 1 ? 1 : 0;  // with one class, label 0 is no class
  if (in.has_ignore && label == in.ignore_index) {
    voxel.weight = 0;
  } else if (label >= 0 && label < in.classes + base) {
    voxel.klass = label - base;
  } else if (faults) {
    note_fault(faults, i);
  }
  return voxel;
}

/// t of class c. i: where (n, c, s) lies. faults: null, or counts what is neither 0 nor 1 in a uint8 target.
template <class P>
__device__ Accumulator<P> read_target(const Inputs& in, const Voxel<Accumulator<P>>& voxel, int64_t c, int64_t i,
                                      Counters* faults) {
  if (in.labels) return voxel.klass == c ? 1 : 0;
  const Accumulator<P> t = read<P>(in.target, i);
  if (faults && in.target.dtype == DType::uint8 && t > 1) note_fault(faults, i);
  return t;
}

// --- the sums of one class over a few voxels -------------------------------------------------------------

/// Short chains in A; the caller adds them up in double.
template <class A>
struct Terms {
  A intersection = 0, prediction = 0, target = 0, volume = 0, weight = 0;

  __device__ void add(const Inputs& in, A w, A p, A t) {
    if (w == 0) return;
    // NaN stays NaN in the minimum.
    const A overlap = in.overlap == Overlap::product ? p * t : (p < t || p != p ? p : t);
    intersection += w * overlap;
    prediction += w * (in.squared ? p * p : p);
    target += w * (in.squared ? t * t : t);
    volume += w * t;
    weight += w;
  }
};

template <class A>
__device__ void add(Sums& to, const Terms<A>& terms) {
  to.intersection += terms.intersection;
  to.prediction += terms.prediction;
  to.target += terms.target;
  to.volume += terms.volume;
  to.weight += terms.weight;
}

/// Voxels per thread that are added in A before they go to double.
constexpr int kChain = 8;

// --- the slope of the loss --------------------------------------------------------------------------------

/// dL/dp before the voxel's weight: slope*(p - t) + at_target*t + constant, and below*[p<t] for Overlap::minimum.
///
/// As dice.h writes it, it is dI*t + slope*p + constant. Near a match those two cancel; here at_target = dI + slope
/// is added in double, and p - t is exact.
template <class A>
struct Slope {
  A slope, at_target, constant, below;

  /// difference: p - t, as exactly as it is known.
  __device__ A at(A t, A difference) const {
    const A step = difference < 0 ? A(1) : difference == 0 ? A(0.5) : A(0);
    return slope * difference + (at_target * t + constant) + below * step;
  }
};

template <class A>
__device__ Slope<A> slope_of(const Inputs& in, const Coefficients& d) {
  const double slope = in.squared ? 2 * d.prediction : 0, constant = in.squared ? 0 : d.prediction;
  const bool product = in.overlap == Overlap::product;
  return {static_cast<A>(slope), static_cast<A>((product ? d.intersection : 0) + slope), static_cast<A>(constant),
          static_cast<A>(product ? 0 : d.intersection)};
}

/// Writes one element of the gradient.
template <class P>
__device__ void write(const GradientOut& out, int64_t i, Accumulator<P> gradient) {
  if (sizeof(P) == 2 && out.dtype == DType::float32) {
    float& to = static_cast<float*>(out.data)[i];
    to = static_cast<float>(out.accumulate ? to + gradient : gradient);
  } else {
    P& to = static_cast<P*>(out.data)[i];
    narrow(out.accumulate ? widen(to) + gradient : gradient, to);
  }
}

}  // namespace warpdice::cuda
