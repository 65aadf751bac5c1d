#pragma once
#include "cpu/counts.h"
#include "math/call.h"

namespace warpdice::cpu::head {

/// Counts a batch whose logits are never in memory into `counts`, which are new. inputs.in: with features for
/// predictions.
CountFaults count(const CountInputs& inputs, const Head& head, Counts& counts);

}  // namespace warpdice::cpu::head
