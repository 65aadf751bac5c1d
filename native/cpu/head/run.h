#pragma once
#include "math/call.h"

namespace warpdice::cpu::head {

/// Does the steps of a call with a head, whose logits are never in memory. Returns labels, or values of a dense target,
/// that are out of range; then nothing is written. Any number of threads gives the same bits.
LabelFault run(const Call& call);

}  // namespace warpdice::cpu::head
