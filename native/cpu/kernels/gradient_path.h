#pragma once
// Which way a run of step 3 takes: from where its passes read the predictions, and how the gradient is written.
#include "cpu/kernels/kernels.h"

namespace warpdice::cpu {

/// What the passes read.
enum class Read : uint8_t {
  direct,  // the caller's array
  halves,  // the caller's array of halves, which the passes widen themselves
  staged,  // a copy of a block, converted to float or double and class after class
  kept,    // the probabilities that step 1 left where the gradient goes
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
  int64_t head;  // voxels to do before the first that begins a line of the cache; 0 where that does not matter
};

/// Whether arrays of this dtype are read and written where they are: the passes compute with the predictions' dtype, or
/// with float32 for halves, class after class.
bool is_direct(const Inputs& in, DType dtype);

/// Whether the passes themselves widen predictions of halves; targets are labels and nothing is weighted then.
/// widens_quickly: in an instruction or two a vector. 10 to 15% less time than staging them there.
bool reads_halves(const Inputs& in, bool widens_quickly);

/// Step 1. keeps: it leaves probabilities for step 3.
Read choose_read(const Inputs& in, bool keeps, bool widens_quickly);

/// Step 3. kept: step 1 left its probabilities in `out`.
GradientPath choose_path(const Inputs& in, const Run& run, const GradientOut& out, bool kept, bool widens_quickly);

}  // namespace warpdice::cpu
