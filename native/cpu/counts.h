#pragma once
#include "math/counts.h"

namespace warpdice::cpu {

/// Writes counts[N * cells()], or nothing when there are faults. Exact up to 2^53.
CountFaults count(const CountInputs& inputs, double* counts);

}  // namespace warpdice::cpu
