#pragma once
// What step 1 makes and step 3 takes: the statistics, and the derivative of the loss with respect to each.
#ifdef __CUDACC__
#define WARPDICE_HOST_DEVICE __host__ __device__
#else
#define WARPDICE_HOST_DEVICE
#endif
/// Of functions that the SIMD objects use too: a copy that one of them left for the linker would run on every CPU.
#define WARPDICE_ALWAYS_INLINE WARPDICE_HOST_DEVICE inline __attribute__((always_inline))

namespace warpdice {

/// The statistics of one sample and class, or of one class when pooled over the batch. What a loss does not need
/// (see Inputs) is 0.
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

/// The derivative of the reduced loss with respect to each sum. Those to target and volume serve dL/dt alone.
struct Coefficients {
  double intersection, prediction, target, volume;
  double cross_entropy, uniform, focal;
};

}  // namespace warpdice
