#pragma once
// The path of a run of step 3: where its passes read the predictions, and how they write the gradient.
#include "cpu/kernels/kernels.h"

namespace warpdice::cpu {

/// Where the passes read.
enum class Read : uint8_t {
  direct,  // the caller's array
  halves,  // the caller's array of halves, which the passes widen themselves
  staged,  // a copy of a block, converted to float or double and class after class
  kept,    // the probabilities that step 1 wrote to the gradient's memory
};

/// Where the passes write.
enum class Write : uint8_t {
  direct,           // the caller's array
  streamed,         // the caller's array, around the caches
  staged,           // a block that is converted and copied, or added, to the caller's array
  staged_streamed,  // the same, copied around the caches
};

struct GradientPath {
  Read read;
  Write write;
  int64_t head;  // voxels before the first one that begins a cache line; 0 where that does not matter
};

/// Whether the passes read and write arrays of this dtype in place. They compute in the predictions' dtype (float32 for
/// halves), class after class.
bool is_direct(const Inputs& in, DType dtype);

/// Whether the passes widen half-precision predictions themselves, for labels without weights only. widens_quickly: the
/// target does that in one or two instructions per vector; the call then takes 10 to 15% less time than with staging.
bool reads_halves(const Inputs& in, bool widens_quickly);

/// Step 1. keeps: it leaves probabilities for step 3.
Read choose_read(const Inputs& in, bool keeps, bool widens_quickly);

/// Step 3. kept: step 1 left its probabilities in `out`.
GradientPath choose_path(const Inputs& in, const Run& run, const GradientOut& out, bool kept, bool widens_quickly);

}  // namespace warpdice::cpu
