// Steps 1 and 3 in double.
#include "cpu/kernels/gradient.h"
#include "cpu/kernels/statistics.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template bool KernelRun<double>::statistics(Sums*, const GradientOut*);
template LabelFault KernelRun<double>::find_outside_unit();
template void KernelRun<double>::gradient(const Coefficients*, const GradientOut&, bool);

}  // namespace warpdice::cpu::WARPDICE_TARGET
