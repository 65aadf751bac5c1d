#pragma once
#include "cpu/kernels/kernels.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Labels are classes; integers with one value per class are 0 and 1. Floats are checked in step 1.
LabelFault check_target(const Inputs& in, const Run& run);

/// weighted[j] = 1 where the weight of voxel first + j of [N,S] is not 0, else 0.
void mark_weighted(const Operand& weight, int64_t first, int count, uint8_t* weighted);

}  // namespace warpdice::cpu::WARPDICE_TARGET
