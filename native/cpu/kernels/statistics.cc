// Step 1 in float.
#include "cpu/kernels/statistics.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template bool KernelRun<float>::statistics(Sums*, const GradientOut*);
template LabelFault KernelRun<float>::find_outside_unit();

}  // namespace warpdice::cpu::WARPDICE_TARGET
