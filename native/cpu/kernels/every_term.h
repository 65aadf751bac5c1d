#pragma once
// Steps 1 and 3 with every term: any overlap, focal loss, and the derivative with respect to the target. These passes
// read the call's options at run time, for each class. softmax.h and pointwise.h have faster passes for the commonest
// calls.
//
// With l = -log p, o = -log(1-p) and g = focal_gamma, a voxel of weight 1 adds to the sums
//   softmax   E: t*l             U: l         F: t*(1-p)^g*l
//   sigmoid   E: t*l + (1-t)*o   U: (l+o)/2   F: t*(1-p)^g*l + (1-t)*p^g*o
// The gradient is, with h = (1-p)^g*(1 + g*p*l/(1-p)),
//   softmax   dz_c = p_c*(dp_c - sum_j p_j*dp_j + sum_j q_j) - q_c,   q = dE*t + dU + dF*t*h
//   sigmoid   dz = dp*p*(1-p) - q,   q = dE*(t-p) + dU*(1/2-p) + dF*(t*(1-p)*h(p) - (1-t)*p*h(1-p))
// Powers are computed as products, e^(-g*o) or e^(-g*l), without a division by 0. So all terms are finite for every
// g >= 0, also at p = 0 and p = 1.
#include "cpu/kernels/pass_bytes.h"
#include "cpu/kernels/steps.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Step 1. memory: kEveryTermArrays of [C][kUnroll]. totals: [C], added to.
template <class T, class Target>
void add_every_term(const Inputs& in, Vec<T>* memory, const Steps<T, Target>& steps, Totals* totals);

/// Step 3: dL/dz. coefficients, slopes: [C]. dp: [C][kUnroll], scratch.
template <class T, class Target>
void every_term_gradient(const Inputs& in, Vec<T>* memory, const Steps<T, Target>& steps,
                         const Coefficients* coefficients, const Slope<T>* slopes, Vec<T>* dp, const Sink<T>& sink);

/// Step 3: dL/dt.
template <class T>
void every_term_target_gradient(const Inputs& in, Vec<T>* memory, const Steps<T, DenseTarget<T>>& steps,
                                const Coefficients* coefficients, const Sink<T>& sink);

}  // namespace warpdice::cpu::WARPDICE_TARGET
