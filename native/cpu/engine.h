#pragma once
// The three steps on the CPU, each over a whole batch; run.cc puts them in order.
#include <cstddef>
#include <cstdint>

#include "math/types.h"

namespace warpdice {
namespace cpu {

/// Step 0: the target's invalid values. The other steps treat invalid labels as no class, and take dense values as
/// they are. counts: null, or for labels [N,C+1], written: how many voxels each class has, and how many are ignored.
LabelFault check_target(const Inputs& in, int64_t* counts = nullptr);

/// Step 1. Writes sums[N*C]. keep: null, or the later gradient's place when can_keep() allows it: step 1 then leaves
/// there what step 3 would have to compute again (and overwrites the predictions, when that is their place).
void statistics(const Inputs& in, Sums* sums, const GradientOut* keep = nullptr);

/// Whether step 1 can prepare step 3. The results are the same bits either way, but for softmax of halves whose
/// gradient is float32: there the last digits differ, since what is kept is computed with maxima, and the rest may need
/// none.
bool can_keep(const Inputs& in, const GradientOut& out);

/// How many samples' predictions and gradients stay in the caches together; 0 when not even one's do.
int64_t samples_in_cache(const Inputs& in, const GradientOut& out);

/// Whether a call that does not fit the cache had better keep what its exponentials gave, too, than compute them again
/// and write around the caches. As measured on a Zen 5: with vectors of 16 bytes always, a third off; with 32 bytes for
/// a sample that is larger than the cache, unless its classes are interleaved, a tenth off; with 64 bytes never.
bool better_kept(const Inputs& in, const GradientOut& out);

/// Step 3. `coefficients` is [N*C], or [C] when `pooled`. kept: step 1 was given `out` as `keep`.
/// `out.data` may be exactly `in.predictions.data` when the dtypes agree.
void gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out,
              bool kept = false);

/// Step 3 for the target: dL/dt = w*(dI*dI/dt + dT*k*t^(k-1) + dV + ...) of a dense target of floats, in its layout and
/// of any float dtype. -dE*log(p) and the like are infinite at p = 0, as they should be.
void target_gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out);

/// Copies with the engine's threads.
void copy(void* to, const void* from, size_t size_bytes);

/// The threads that one call may use, the caller's own included; 1 or more.
int threads();
void set_threads(int count);

/// "avx512", "avx2", "baseline" or "neon": what this process runs.
const char* simd_target();

}  // namespace cpu
}  // namespace warpdice
