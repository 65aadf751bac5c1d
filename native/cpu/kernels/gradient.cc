// Step 3 in float.
#include "cpu/kernels/gradient.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template void KernelRun<float>::gradient(const Coefficients*, const GradientOut&, bool);

}  // namespace warpdice::cpu::WARPDICE_TARGET
