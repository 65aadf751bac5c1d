// Step 1 in float.
#include "cpu/kernels/statistics.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template void KernelRun<float>::statistics(Sums*, const GradientOut*);

}  // namespace warpdice::cpu::WARPDICE_TARGET
