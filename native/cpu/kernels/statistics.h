#pragma once
// Step 1 on a run, and the values that it cannot take.
#include "cpu/kernels/every_term.h"
#include "cpu/kernels/kernel_run.h"
#include "cpu/kernels/pointwise.h"
#include "cpu/kernels/softmax.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Whether a value of some steps is outside_unit() and has a weight. weight: of the first step, or null. weight_stride:
/// from class to class.
template <class T, class From>
__attribute__((noinline)) bool any_outside_unit(View<T, From> view, const T* weight, int64_t weight_stride,
                                                int64_t classes, int64_t count) {
  Mask<T> found = {};
  for (int64_t i = 0; i < count; i++, view.data += kStep<T>, weight += weight ? kStep<T> : 0) {
    for (int64_t c = 0; c < classes; c++) {
      for (int u = 0; u < kUnroll; u++) {
        const Mask<T> outside = outside_unit<T>(view.get(c, u));
        found |=
            weight ? outside & (load<Vec<T>>(weight + c * weight_stride + u * Simd<T>::lanes) != Vec<T>{}) : outside;
      }
    }
  }
  return any(found);
}

template <class T>
bool KernelRun<T>::statistics(Sums* sums, const GradientOut* keep) {
  memset(static_cast<void*>(totals_), 0, in_.classes * sizeof(Totals));
  memset(counts_, 0, in_.classes * sizeof(int64_t));
  const Sink<T> keeps_nothing = {nullptr, 0, false};
  Vec<double> weight = {};
  double unweighted_voxels = 0;
  bool outside = false;
  const Read read = choose_read(in_, keep != nullptr, kWidensQuickly);
  const bool direct = read == Read::halves || (read == Read::direct && blocks_.direct_operands());
  for (int64_t s = run_.begin; s < run_.end;) {
    const Block block = blocks_.next_block(s, run_.end, direct);
    s += block.voxels;
    if (read == Read::halves && !block.partial) {
      blocks_.with_halves(block, [&](auto z) {
        blocks_.with_steps(z, block, false, staged_target_, [&](auto steps) {
          add(steps, keeps_nothing);
          outside = outside || outside_unit(steps);
        });
      });
      blocks_.count_labels(block, counts_);
      unweighted_voxels += block.voxels;
      continue;
    }
    const View<T> z = blocks_.view(in_.predictions, block, staged_);
    const bool stages_kept = keep && block.partial && !in_.padded;
    const Sink<T> sink = !keep ? keeps_nothing : stages_kept ? staged_sink() : kept_at(*keep, block);
    blocks_.with_steps(z, block, block.partial || in_.weighted(), staged_target_, [&](auto steps) {
      if (steps.weight_stride != 0) {
        // add_every_term() adds them up, class by class.
      } else if (steps.weight) {
        for (int64_t j = 0; j < steps.count * kStep<T>; j += Simd<T>::lanes) {
          weight += widen_sum(load<Vec<T>>(steps.weight + j));
        }
      } else {
        unweighted_voxels += block.voxels;
        if (in_.labels) blocks_.count_labels(block, counts_);
      }
      add(steps, sink);
      outside = outside || outside_unit(steps);
    });
    if (stages_kept) keep_partial(*keep, block);
  }
  finish(weight, unweighted_voxels, sums);
  return outside;
}

template <class T>
LabelFault KernelRun<T>::find_outside_unit() {
  LabelFault faults;
  const LayoutConverter<T>& layout = blocks_.layout();
  for (int64_t s = run_.begin; s < run_.end;) {
    const Block block = blocks_.next_block(s, run_.end, false);
    s += block.voxels;
    const View<T> z = blocks_.view(in_.predictions, block, staged_);
    blocks_.with_steps(z, block, true, staged_target_, [&](const auto& steps) {
      const auto look = [&](FaultKind kind, const View<T>& x, int64_t c, int64_t j) {
        const T value = x.data[c * x.class_stride + j];
        if (steps.weight[c * steps.weight_stride + j] == 0 || !warpdice::outside_unit(value)) return;
        const int64_t first = layout.offset(run_.n, block.s);
        faults.add({1, first + (layout.channels_last ? j * in_.classes + c : c * in_.voxels + j), value, kind});
      };
      for (int64_t c = 0; c < in_.classes; c++) {
        for (int64_t j = 0; j < block.voxels; j++) {
          if constexpr (!decltype(steps.target)::kLabels) look(FaultKind::target, steps.target.view, c, j);
          if (in_.activation == Activation::none) look(FaultKind::prediction, z, c, j);
        }
      }
    });
  }
  return faults;
}

template <class T>
void KernelRun<T>::finish(const Vec<double>& weight, double unweighted_voxels, Sums* sums) const {
  for (int64_t c = 0; c < in_.classes; c++) {
    sums[c] = {};
    sums[c].intersection = sum_lanes(totals_[c].intersection);
    sums[c].prediction = sum_lanes(totals_[c].prediction);
    sums[c].target = sum_lanes(totals_[c].target) + static_cast<double>(counts_[c]);
    // Labels are 0 or 1 in every power.
    sums[c].volume = in_.squared && !in_.labels ? sum_lanes(totals_[c].volume) : sums[c].target;
    sums[c].weight = sum_lanes(in_.class_weight.data ? totals_[c].weight : weight) + unweighted_voxels;
    sums[c].cross_entropy = in_.cross_entropy ? sum_lanes(totals_[c].cross_entropy) : 0;
    sums[c].uniform = sum_lanes(totals_[c].uniform);
    sums[c].focal = sum_lanes(totals_[c].focal);
  }
}

template <class T>
template <class Target, class From>
bool KernelRun<T>::outside_unit(const Steps<T, Target, From>& steps) const {
  const bool predictions = in_.activation == Activation::none;
  if ((Target::kLabels && !predictions) || !steps.seen->suspicious()) return false;
  const T* const weight = steps.weighted() ? steps.weight : nullptr;
  if constexpr (!Target::kLabels) {
    if (any_outside_unit(steps.target.view, weight, steps.weight_stride, steps.classes, steps.count)) return true;
  }
  return predictions && any_outside_unit(steps.z, weight, steps.weight_stride, steps.classes, steps.count);
}

template <class T>
template <class Target, class From>
void KernelRun<T>::add(const Steps<T, Target, From>& steps, const Sink<T>& probabilities) {
  if constexpr (Target::kStaged && !kHalf<From>) {
    if (every_term_) return add_every_term<T>(in_, scratch_.every_term, steps, totals_);
  }
  if (in_.activation == Activation::none) {
    return with_flag<Steps<T, Target, From>::kWeighable>(steps.weighted(), [&](auto weighted) {
      with_flag(steps.squared, [&](auto squared) {
        plain_statistics<T, decltype(squared)::value, decltype(weighted)::value>(steps, totals_, steps.seen);
      });
    });
  }
  with_flag(steps.entropy, [&](auto entropy) {
    constexpr bool kEntropy = decltype(entropy)::value;
    if (in_.activation == Activation::sigmoid) {
      return with_flag<!kHalf<From>>(probabilities.data, [&](auto keep) {
        sigmoid_statistics<T, decltype(keep)::value, kEntropy>(steps, scratch_.excess, totals_, probabilities);
      });
    }
    if constexpr (Target::kStaged) {
      softmax_statistics<T, kEntropy>(steps, scratch_.numerators, scratch_.next_logits, totals_, probabilities);
    }
  });
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
