#pragma once
// Step 3 on a run, for the predictions.
#include "cpu/kernels/every_term.h"
#include "cpu/kernels/kernel_run.h"
#include "cpu/kernels/pointwise.h"
#include "cpu/kernels/softmax.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template <class T>
void KernelRun<T>::gradient(const Coefficients* coefficients, const GradientOut& out, bool kept) {
  for (int64_t c = 0; c < in_.classes; c++) slopes_[c] = slope_of<T>(in_, coefficients[c]);
  const GradientPath path = choose_path(in_, run_, out, kept, kWidensQuickly);
  const bool streaming = path.write == Write::streamed || path.write == Write::staged_streamed;
  const bool stages = path.write == Write::staged || path.write == Write::staged_streamed;
  const bool direct = path.read == Read::halves || (path.read != Read::staged && blocks_.direct_operands() && !stages);
  for (int64_t s = run_.begin; s < run_.end;) {
    // Begins with the voxels before the first whole line, which cannot be streamed.
    const bool has_head = path.head > 0 && s == run_.begin && path.head < run_.end - s;
    const Block block = blocks_.next_block(s, has_head ? s + path.head : run_.end, direct);
    s += block.voxels;
    if (path.read == Read::halves && !block.partial) {
      halves_gradient(out, block, streaming);
      continue;
    }
    const View<T> z = kept ? kept_view(out, block) : blocks_.view(in_.predictions, block, staged_);
    const bool stages_block = stages || !blocks_.in_place(out.dtype, block);
    const Sink<T> sink = stages_block ? staged_sink() : Sink<T>{place<T>(out, block), in_.voxels, streaming};
    blocks_.with_steps(z, block, in_.weighted(), staged_target_, [&](auto steps) {
      if constexpr (decltype(steps.target)::kStaged) {
        if (every_term_) {
          return every_term_gradient<T>(in_, scratch_.every_term, steps, coefficients, slopes_, scratch_.dp, sink);
        }
      }
      differentiate(steps, kept, sink);
    });
    if (stages_block) blocks_.store_staged(out, block, staged_, streaming);
  }
  if (streaming) stream_fence();
}

template <class T>
void KernelRun<T>::halves_gradient(const GradientOut& out, const Block& block, bool streaming) {
  blocks_.with_halves(block, [&](auto z) {
    typedef typename decltype(z)::Storage Half;
    const Sink<T, Half> sink = {place<Half>(out, block), in_.voxels, streaming};
    blocks_.with_steps(z, block, false, staged_target_, [&](auto steps) { differentiate(steps, false, sink); });
  });
}

template <class T>
template <class Target, class From>
void KernelRun<T>::differentiate(const Steps<T, Target, From>& steps, bool kept, const Sink<T, From>& sink) {
  with_flag<Steps<T, Target, From>::kWeighable>(steps.weighted(), [&](auto weighted) {
    constexpr bool kWeighted = decltype(weighted)::value;
    if (in_.activation == Activation::none) {
      return pointwise_gradient<T, false, kWeighted, false, false>(steps, slopes_, sink);
    }
    with_flag<!kHalf<From>>(kept, [&](auto reads_kept) {
      with_flag(steps.entropy, [&](auto entropy) {
        constexpr bool kKept = decltype(reads_kept)::value, kEntropy = decltype(entropy)::value;
        if (in_.activation == Activation::sigmoid) {
          return pointwise_gradient<T, true, kWeighted, kKept, kEntropy>(steps, slopes_, sink);
        }
        if constexpr (Target::kStaged) {
          softmax_gradient<T, kWeighted, kKept, kEntropy>(steps, slopes_, scratch_.numerators, scratch_.dp, sink);
        }
      });
    });
  });
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
