#pragma once
#include "math/types.h"

namespace warpdice::cpu {

/// Reads elements first, first + stride, ... of an array of any dtype. Exact, but for int64 beyond 2^53.
void read_values(const Operand& from, int64_t first, int64_t stride, int64_t count, double* to);

}  // namespace warpdice::cpu
