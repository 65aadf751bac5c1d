#pragma once
// One call on the CPU: the three steps in the order that choose_strategy() says.
#include "cpu/strategy.h"

namespace warpdice::cpu {

/// Does the call's steps. When there are invalid values it returns them. Labels are checked before anything is written;
/// floats are found in step 1, when gradients of other samples may have been written.
LabelFault run(const Call& call);

/// The same with the strategy of a CPU that has other capabilities. The results are the same bits, except for
/// half-precision predictions with a float32 gradient (see statistics() in engine.h).
LabelFault run(const Call& call, const Capabilities& capabilities);

/// The strategy of the last run() of this thread; null before the first.
const Strategy* last_strategy();

}  // namespace warpdice::cpu
