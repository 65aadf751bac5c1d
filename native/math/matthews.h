#pragma once
// Matthews' correlation of prediction and target. Shared by the CPU and CUDA.
//
//   TP = I, FP = P - I, FN = T - I, TN = W - P - T + I; s is added to each of them (LossOptions::smooth_denominator).
//   A = TP*TN - FP*FN, X = (TP+FP)*(TN+FN), Y = (TP+FN)*(TN+FP)
//
//   a class       r = A / sqrt(X*Y)                                       Matthews 1975
//   micro         the same of sum_c k_c*I_c, sum_c k_c*P_c, ...: one table of all classes
//   multiclass    r = sum_c k_c*A_c / sqrt(sum_c k_c*X_c * sum_c k_c*Y_c)   R_K, Gorodkin 2004
//
// A/W^2 is the covariance of p and t, X/W^2 and Y/W^2 are the variances of 0/1 values with their means. All sums are
// linear.
#include <math.h>

#include "math/loss_options.h"

namespace warpdice {

struct Correlation {
  double joint, prediction, target;  // A, X, Y
};

/// A number that is not negative but for rounding.
WARPDICE_HOST_DEVICE inline double not_negative(double x) { return x < 0 ? 0 : x; }

WARPDICE_HOST_DEVICE inline Correlation correlation(const LossOptions& options, const Sums& sums) {
  const double s = options.smooth_denominator, I = sums.intersection, P = sums.prediction, T = sums.target;
  const double W = sums.weight, others = not_negative(W - P), rest = not_negative(W - T);
  Correlation x;
  x.joint = (I + s) * (W - P - T + I + s) - (P - I + s) * (T - I + s);
  x.prediction = (not_negative(P) + 2 * s) * (others + 2 * s);
  x.target = (not_negative(T) + 2 * s) * (rest + 2 * s);
  return x;
}

/// sqrt(X*Y).
WARPDICE_HOST_DEVICE inline double spread(const Correlation& x) { return sqrt(x.prediction) * sqrt(x.target); }

/// d r / d sums, times scale, for r = A / sqrt(X*Y) whose A, X and Y contain those of `sums`.
WARPDICE_HOST_DEVICE inline Coefficients correlation_slopes(const LossOptions& options, const Sums& sums,
                                                            const Correlation& of, double scale) {
  const double s = options.smooth_denominator, B = spread(of), half_r = of.joint / B / 2, to_joint = scale / B;
  Coefficients d = {};
  d.intersection = to_joint * (sums.weight + 4 * s);
  d.prediction =
      -to_joint * (sums.target + 2 * s) - scale * half_r * ((sums.weight - 2 * sums.prediction) / of.prediction);
  d.target = -to_joint * (sums.prediction + 2 * s) - scale * half_r * ((sums.weight - 2 * sums.target) / of.target);
  return d;
}

}  // namespace warpdice
