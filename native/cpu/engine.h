#pragma once
// The three steps on the CPU, each over a whole batch; run.cc puts them in order.
#include <cstddef>
#include <cstdint>

#include "math/types.h"

namespace warpdice::cpu {

/// Before step 1: finds invalid labels, and values of an integer mask other than 0 and 1. The steps themselves treat
/// invalid labels as no class, and take dense values as they are. counts: null, or for labels [N,C+1], written: how
/// many voxels each class has, and how many are ignored.
LabelFault check_target(const Inputs& in, int64_t* counts = nullptr);

/// Step 1. Writes sums[N*C], and returns the values outside [0, 1] of a dense float target or, without an activation,
/// of the predictions. probabilities: null, or the memory of the later gradient. Step 1 then also writes the
/// probabilities there, over the predictions when these share the memory. choose_strategy() knows when that memory can
/// hold them. The results are the same bits either way, except for half-precision predictions with a float32 gradient:
/// their last digits differ, because the two ways widen the halves in different loops.
/// reproducible: the runs have a length that follows from C alone, and their sums are rounded so that adding them is
/// exact. Whoever adds the sums of parts that end where runs end gets the bits of the whole, in any order.
LabelFault statistics(const Inputs& in, Sums* sums, const GradientOut* probabilities = nullptr,
                      bool reproducible = false);

/// Step 3. coefficients: [N*C], or [C] when `pooled`. reuses_probabilities: statistics() has written them to `out`.
/// `out.data` may be exactly `in.predictions.data` when the dtypes agree.
void gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out,
              bool reuses_probabilities = false);

/// Step 3 for the target: dL/dt = w*(dI*dI/dt + dT*k*t^(k-1) + dV + ...) of a dense float target, in its layout and of
/// any float dtype. Terms such as -dE*log(p) are infinite at p = 0, which is correct.
void target_gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out);

/// Copies with the engine's threads.
void copy(void* to, const void* from, size_t size_bytes);

/// The threads that one call may use, the caller's own included; 1 or more.
int threads();
void set_threads(int count);

/// The SIMD target that this process runs: "avx512", "avx2", "baseline" or "neon".
const char* simd_target();

}  // namespace warpdice::cpu
