// Step 3 on a run, for a dense target.
#include "cpu/kernels/kernel_run.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template <class T>
void KernelRun<T>::target_gradient(const Coefficients* coefficients, const GradientOut& out) {
  const bool direct_out = is_direct(in_, out.dtype) && !out.accumulate;
  const bool direct = is_direct(in_, in_.predictions.dtype) && blocks_.direct_operands() && direct_out;
  for (int64_t s = run_.begin; s < run_.end;) {
    const Block block = blocks_.next_block(s, run_.end, direct);
    s += block.voxels;
    const bool stages = !direct_out || !blocks_.in_place(out.dtype, block);
    const Sink<T> sink = stages ? staged_sink() : Sink<T>{place<T>(out, block), in_.voxels, false};
    const View<T> z = blocks_.view(in_.predictions, block, staged_);
    blocks_.with_steps(z, block, in_.weighted(), staged_target_, [&](auto steps) {
      if constexpr (!decltype(steps.target)::kLabels) {
        every_term_target_gradient(in_, scratch_.every_term, steps, coefficients, sink);
      }
    });
    if (stages) blocks_.store_staged(out, block, staged_, false);
  }
}

template void KernelRun<float>::target_gradient(const Coefficients*, const GradientOut&);
template void KernelRun<double>::target_gradient(const Coefficients*, const GradientOut&);

}  // namespace warpdice::cpu::WARPDICE_TARGET
