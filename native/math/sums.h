#pragma once
// The statistics, which step 1 computes, and the derivative of the loss with respect to each, which step 3 reads.
#ifdef __CUDACC__
#define WARPDICE_HOST_DEVICE __host__ __device__
#else
#define WARPDICE_HOST_DEVICE
#endif
/// For functions that the SIMD objects use too. They must be inlined: the linker could keep the copy of one SIMD target
/// for all CPUs.
#define WARPDICE_ALWAYS_INLINE WARPDICE_HOST_DEVICE inline __attribute__((always_inline))

namespace warpdice {

/// The statistics of one sample and class, or of one class when pooled over the batch. A sum that a loss does not need
/// (see Inputs) is 0. w is the voxel's weight, or the class's own. Inputs can have factors in E, U (of -log p under a
/// sigmoid: positive_weight) and F (focal_alpha).
struct Sums {
  double intersection;   // I = sum w*p*t; Overlap says what else it can be
  double prediction;     // P = sum w*p^k
  double target;         // T = sum w*t^k
  double volume;         // V = sum w*t
  double weight;         // W = sum w
  double cross_entropy;  // E = sum w*-t*log(p); sigmoid: sum w*-(t*log(p) + (1-t)*log(1-p))
  double uniform;        // U = sum w*-log(p); sigmoid: sum w*-(log(p) + log(1-p))/2
  double focal;          // F = sum w*-t*(1-p)^g*log(p); sigmoid: and the same of 1-t and 1-p
};
constexpr int kSumCount = sizeof(Sums) / sizeof(double);

WARPDICE_HOST_DEVICE inline void add(Sums& to, const Sums& part) {
  to.intersection += part.intersection;
  to.prediction += part.prediction;
  to.target += part.target;
  to.volume += part.volume;
  to.weight += part.weight;
  to.cross_entropy += part.cross_entropy;
  to.uniform += part.uniform;
  to.focal += part.focal;
}

/// The derivative of the reduced loss with respect to each sum. Only dL/dt uses those with respect to target and
/// volume.
struct Coefficients {
  double intersection, prediction, target, volume;
  double cross_entropy, uniform, focal;
};

}  // namespace warpdice
