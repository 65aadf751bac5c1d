#pragma once
// Steps 1 and 3 on one run of voxels: cut into blocks of whole steps and a padded last step, each of which goes to the
// passes that fit the call.
#include "cpu/kernels/blocks.h"
#include "cpu/kernels/every_term.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Scratch arrays of the passes for one step of all classes, [C][kUnroll] each.
template <class T>
struct Scratch {
  Vec<T>* numerators;   // of softmax; replaced by p
  Vec<T>* next_logits;  // for PrefetchingSoftmax
  Vec<T>* dp;           // dL/dp
  Vec<T>* excess;       // [C]: see pointwise.h
  Vec<T>* every_term;   // kEveryTermArrays of them
};

template <class T>
class KernelRun {
 public:
  /// every_term: the passes are those of every_term.h.
  KernelRun(const Inputs& in, const Run& run, Workspace& workspace, bool every_term);

  /// keep: null, or where step 3 will find the probabilities. Returns whether there is a find_outside_unit().
  bool statistics(Sums* sums, const GradientOut* keep);

  /// The values that step 1 takes for probabilities and that are outside [0, 1].
  LabelFault find_outside_unit();

  /// kept: out.data holds what statistics() kept.
  void gradient(const Coefficients* coefficients, const GradientOut& out, bool kept);

  /// dL/dt of a dense target.
  void target_gradient(const Coefficients* coefficients, const GradientOut& out);

 private:
  /// Of predictions or gradient, target, and class weights. Nothing is staged of what is padded.
  size_t staged_blocks() const { return in_.padded ? 0 : in_.class_weight.data ? 3 : 2; }

  T* reserve(Workspace& workspace) const {
    static_assert(kUnroll == kStepVectors && sizeof(Totals) == 8 * kVectorBytes && sizeof(Slope<T>) == 7 * sizeof(T));
    const size_t staged_bytes = staged_blocks() * staged_size_ * sizeof(T);
    return static_cast<T*>(workspace.reserve(run_bytes(in_, every_term_, kVectorBytes) + staged_bytes));
  }

  T* staged_block(size_t i) const { return memory_ + held_steps(every_term_) * step_ + i * staged_size_; }

  /// Where Blocks puts the weights of classes.
  T* class_weights() const {
    return in_.padded ? static_cast<T*>(const_cast<void*>(in_.class_weight.data)) : staged_block(2);
  }

  Vec<T>* vectors(int64_t i) const { return reinterpret_cast<Vec<T>*>(memory_ + i * step_); }

  Sink<T> staged_sink() const { return {staged_, blocks_.layout().stride, false}; }

  /// The block's place in an array of the layout of the predictions.
  template <class Element>
  Element* place(const GradientOut& out, const Block& block) const {
    return static_cast<Element*>(out.data) + blocks_.layout().offset(run_.n, block.s);
  }

  /// The memory for a block's kept probabilities. They lie class by class in either layout, since only step 3 reads
  /// them.
  Sink<T> kept_at(const GradientOut& out, const Block& block) const {
    return {place<T>(out, block), blocks_.layout().channels_last ? block.voxels : in_.voxels, false};
  }

  View<T> kept_view(const GradientOut& out, const Block& block) const {
    const Sink<T> from = kept_at(out, block);
    if (!block.partial) return {from.data, from.class_stride};
    for (int64_t c = 0; c < in_.classes; c++) {
      load_row<T>(from.data + c * from.class_stride, block.voxels, staged_ + c * blocks_.layout().stride);
    }
    return {staged_, blocks_.layout().stride};
  }

  void keep_partial(const GradientOut& out, const Block& block) const {
    const Sink<T> to = kept_at(out, block);
    for (int64_t c = 0; c < in_.classes; c++) {
      memcpy(to.data + c * to.class_stride, staged_ + c * blocks_.layout().stride, block.voxels * sizeof(T));
    }
  }

  // Of statistics().
  /// Whether a value of the steps, which have been added, must be a probability and is none.
  template <class Target, class From>
  bool outside_unit(const Steps<T, Target, From>& steps) const;
  template <class Target, class From>
  void add(const Steps<T, Target, From>& steps, const Sink<T>& probabilities);
  void finish(const Vec<double>& weight, double unweighted_voxels, Sums* sums) const;

  // Of gradient().
  template <class Target, class From>
  void differentiate(const Steps<T, Target, From>& steps, bool kept, const Sink<T, From>& sink);
  void halves_gradient(const GradientOut& out, const Block& block, bool streaming);

  const Inputs& in_;
  const Run& run_;
  const bool every_term_;
  const size_t step_;         // elements of a step: [C][kStep<T>]
  const size_t staged_size_;  // elements of a staged block
  T* const memory_;
  Blocks<T> blocks_;
  T *staged_, *staged_target_;  // a staged block of predictions, then of the gradient; of the target
  Scratch<T> scratch_;
  Totals* totals_;    // [C]
  Slope<T>* slopes_;  // [C]
  int64_t* counts_;   // [C]: voxels of each class, of blocks without weights
};

template <class T>
KernelRun<T>::KernelRun(const Inputs& in, const Run& run, Workspace& workspace, bool every_term)
    : in_(in),
      run_(run),
      every_term_(every_term),
      step_(static_cast<size_t>(in.classes) * kStep<T>),
      staged_size_(static_cast<size_t>(in.classes) * staged_stride<T>(in.classes)),
      memory_(reserve(workspace)),
      // Arrays that are never used at the same time share memory. Layouts are converted before the passes load and
      // after they store; only step 3 uses dp, only step 1 the logits of the next step; a call has one kind of passes.
      blocks_(in, run, memory_, class_weights()) {
  scratch_.dp = scratch_.next_logits = vectors(0);
  scratch_.numerators = scratch_.excess = scratch_.every_term = vectors(1);
  staged_ = staged_block(0);
  staged_target_ = staged_block(1);
  // In the order of their alignment.
  totals_ = reinterpret_cast<Totals*>(staged_block(staged_blocks()));
  counts_ = reinterpret_cast<int64_t*>(totals_ + in.classes);
  slopes_ = reinterpret_cast<Slope<T>*>(counts_ + in.classes);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
