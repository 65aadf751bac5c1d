#pragma once
// The three steps on the CPU, each over a whole batch; run.cc puts them in order.
#include <cstddef>
#include <cstdint>

#include "math/types.h"

namespace warpdice::cpu {

/// Before step 1: finds the target's invalid values. The steps themselves treat invalid labels as no class, and take
/// dense values as they are. counts: null, or for labels [N,C+1], written: how many voxels each class has, and how many
/// are ignored.
LabelFault check_target(const Inputs& in, int64_t* counts = nullptr);

/// Step 1. Writes sums[N*C]. probabilities: null, or the memory of the later gradient: step 1 then also writes there
/// what the activation gave (and overwrites the predictions, when that is their memory). choose_strategy() knows when
/// the gradient's memory can hold it. The results are the same bits either way, but for halves whose gradient is
/// float32: there the last digits differ, since the two ways widen the halves in different loops.
void statistics(const Inputs& in, Sums* sums, const GradientOut* probabilities = nullptr);

/// Step 3. coefficients: [N*C], or [C] when `pooled`. reuses_probabilities: statistics() has written them to `out`.
/// `out.data` may be exactly `in.predictions.data` when the dtypes agree.
void gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out,
              bool reuses_probabilities = false);

/// Step 3 for the target: dL/dt = w*(dI*dI/dt + dT*k*t^(k-1) + dV + ...) of a dense target of floats, in its layout and
/// of any float dtype. -dE*log(p) and the like are infinite at p = 0, as they should be.
void target_gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out);

/// Copies with the engine's threads; `streaming` bypasses the caches where the CPU can.
void copy(void* to, const void* from, size_t size_bytes, bool streaming);

/// Writes one byte everywhere, in the same way.
void fill(void* to, uint8_t byte, size_t size_bytes, bool streaming);

/// to = exp(-|from|), in the same way.
void exponentials(float* to, const float* from, size_t count, bool streaming);

/// Reverses every bit, in the same way.
void invert(void* to, size_t size_bytes);

/// Reads everything: the sum of the 32-bit words modulo 2^32, the last padded with zeros.
uint32_t read(const void* from, size_t size_bytes);

/// The threads that one call may use, the caller's own included; 1 or more.
int threads();
void set_threads(int count);

/// "avx512", "avx2", "baseline" or "neon": what this process runs.
const char* simd_target();

}  // namespace warpdice::cpu
