// Steps 1 and 3 for one SIMD target: this file is compiled once per target, with WARPDICE_TARGET naming
// its namespace. Here dtypes and options become types, and runs become steps; softmax.h, pointwise.h and
// general.h have the arithmetic.
#include "cpu/kernels/kernels.h"

#include "cpu/kernels/blocks.h"
#include "cpu/kernels/check_labels.h"
#include "cpu/kernels/count.h"
#include "cpu/kernels/count_labels.h"
#include "cpu/kernels/every_term.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

template <bool kValue>
struct Flag {
  static constexpr bool value = kValue;
};
/// Without kPossible the flag is false.
template <bool kPossible = true, class Visit>
WARPDICE_INLINE void with_flag(bool flag, Visit visit) {
  if constexpr (kPossible) {
    if (flag) return visit(Flag<true>{});
  }
  visit(Flag<false>{});
}

/// One run of voxels, cut into blocks of whole steps and a padded last step.
template <class T>
class Runner {
 public:
  /// full: for what general.h does.
  Runner(const Inputs& in, const Run& run, Workspace& workspace, bool full)
      : in_(in),
        run_(run),
        full_(full),
        step_(static_cast<size_t>(in.classes) * kStep<T>),
        staged_size_(static_cast<size_t>(in.classes) * staged_stride<T>(in.classes)),
        memory_(reserve(workspace)),
        // dp is computed after the last load and read before the store: its place serves both as scratch.
        blocks_(in, run, memory_) {
    dp_ = vectors(0);
    work_ = vectors(1);
    if (full) odds_ = {vectors(1), vectors(2), vectors(3), vectors(4)};
    staged_ = memory_ + steps() * step_;
    staged_target_ = staged_ + staged_size_;
    // In the order of their alignment.
    totals_ = reinterpret_cast<Totals*>(staged_target_ + staged_size_);
    counts_ = reinterpret_cast<int64_t*>(totals_ + in.classes);
    slopes_ = reinterpret_cast<Slope<T>*>(counts_ + in.classes);
  }

  /// keep: null, or where step 3 will find what its activation needs (see steps.h).
  void statistics(Sums* sums, const GradientOut* keep) {
    memset(static_cast<void*>(totals_), 0, in_.classes * sizeof(Totals));
    memset(counts_, 0, in_.classes * sizeof(int64_t));
    Vec<double> weight = {};
    double voxels = 0;  // of the blocks without weights
    const bool halves = !full_ && !keep && blocks_.direct_halves();
    const bool direct = halves || (blocks_.direct(in_.predictions.dtype) && blocks_.direct_target());
    for (int64_t s = run_.begin; s < run_.end;) {
      const Block block = blocks_.next_block(s, run_.end, direct);
      if (halves && !block.partial) {
        blocks_.with_halves(block, [&](auto z) {
          blocks_.with_steps(z, block, false, staged_target_,
                             [&](auto steps) { add<false>(steps, false, staged_sink()); });
        });
        blocks_.count_labels(s, block.voxels, counts_);
        voxels += block.voxels;
        s += block.voxels;
        continue;
      }
      const View<T> z = blocks_.view(in_.predictions, block, staged_);
      const Sink<T> sink = keep && !block.partial ? kept_at(*keep, block) : staged_sink();
      blocks_.with_steps(z, block, block.partial || blocks_.weighted(), staged_target_, [&](auto steps) {
        if (steps.weight) {
          for (int64_t j = 0; j < steps.count * kStep<T>; j += Simd<T>::lanes) {
            weight += widen_sum(load<Vec<T>>(steps.weight + j));
          }
        } else {
          voxels += block.voxels;
          if (in_.labels) blocks_.count_labels(s, block.voxels, counts_);
        }
        if constexpr (decltype(steps.target)::kStaged) {
          if (full_) return general(steps).statistics(steps, totals_);
          if (steps.weight) return add<true>(steps, keep, sink);
        }
        add<false>(steps, keep, sink);
      });
      if (keep && block.partial) {
        const Sink<T> to = kept_at(*keep, block);
        for (int64_t c = 0; c < in_.classes; c++) {
          memcpy(to.data + c * to.class_stride, staged_ + c * blocks_.stager().stride, block.voxels * sizeof(T));
        }
      }
      s += block.voxels;
    }
    for (int64_t c = 0; c < in_.classes; c++) {
      sums[c] = {};
      sums[c].intersection = sum_lanes(totals_[c].intersection);
      sums[c].prediction = sum_lanes(totals_[c].prediction);
      sums[c].target = sum_lanes(totals_[c].target) + static_cast<double>(counts_[c]);
      // Labels are 0 or 1 in every power.
      sums[c].volume = in_.squared && !in_.labels ? sum_lanes(totals_[c].volume) : sums[c].target;
      sums[c].weight = sum_lanes(weight) + voxels;
      sums[c].cross_entropy = in_.cross_entropy ? sum_lanes(totals_[c].cross_entropy) : 0;
      sums[c].uniform = sum_lanes(totals_[c].uniform);
      sums[c].focal = sum_lanes(totals_[c].focal);
    }
  }

  /// kept: out.data holds what statistics() kept.
  void gradient(const Coefficients* coefficients, const GradientOut& out, bool kept) {
    for (int64_t c = 0; c < in_.classes; c++) {
      const Coefficients& d = coefficients[c];
      const double constant = in_.squared ? 0 : d.prediction;
      const double slope = in_.squared ? 2 * d.prediction : 0;
      const double at_target = (in_.overlap == Overlap::product ? d.intersection : 0) + slope;
      slopes_[c] = {static_cast<T>(slope),
                    static_cast<T>(at_target),
                    static_cast<T>(constant),
                    static_cast<T>(at_target + constant),
                    static_cast<T>(d.cross_entropy),
                    static_cast<T>(d.uniform),
                    static_cast<T>(d.cross_entropy + d.uniform)};
    }
    const bool direct_from = kept || blocks_.direct(in_.predictions.dtype);
    const bool streams = !kept && may_stream(out), last = blocks_.stager().channels_last;
    const bool alike = !last && rows_begin_alike(out);
    const bool row_by_row = streams && !alike && (last || blocks_.direct(out.dtype));  // staged first
    const bool direct_out = blocks_.direct(out.dtype) && !out.accumulate && !row_by_row;
    const bool halves = !full_ && blocks_.direct_halves() && out.dtype == in_.predictions.dtype && !out.accumulate;
    int64_t head = streams && alike ? streaming_head(out) : -1;
    // Whether softmax takes a maximum is decided step by step: where steps begin may not depend on where memory does.
    if (halves && in_.activation == Activation::softmax && head > 0) head = -1;
    const bool streaming = head >= 0 || row_by_row;
    for (int64_t s = run_.begin; s < run_.end;) {
      // First up to where whole lines can be streamed.
      const int64_t end = head > 0 && s == run_.begin && head < run_.end - s ? s + head : run_.end;
      const Block block = blocks_.next_block(s, end, halves || (direct_from && blocks_.direct_target() && direct_out));
      if (halves && !block.partial) {
        blocks_.with_halves(block, [&](auto z) {
          typedef typename decltype(z)::Storage Half;
          const Sink<T, Half> sink = {static_cast<Half*>(out.data) + blocks_.stager().offset(run_.n, s), in_.voxels,
                                      streaming};
          blocks_.with_steps(z, block, false, staged_target_,
                             [&](auto steps) { differentiate<false>(steps, false, sink); });
        });
        s += block.voxels;
        continue;
      }
      const View<T> z = kept ? kept_view(out, block) : blocks_.view(in_.predictions, block, staged_);
      const bool stage_out = !direct_out || block.partial;
      Sink<T> sink = staged_sink();
      if (!stage_out) sink = {static_cast<T*>(out.data) + blocks_.stager().offset(run_.n, s), in_.voxels, streaming};
      blocks_.with_steps(z, block, blocks_.weighted(), staged_target_, [&](auto steps) {
        if constexpr (decltype(steps.target)::kStaged) {
          if (full_) return general(steps).gradient(steps, coefficients, slopes_, dp_, sink);
          if (steps.weight) return differentiate<true>(steps, kept, sink);
        }
        differentiate<false>(steps, kept, sink);
      });
      if (stage_out) blocks_.store_staged(out, block, staged_, streaming);
      s += block.voxels;
    }
    if (streaming) stream_fence();
  }

  /// dL/dt of a dense target.
  void target_gradient(const Coefficients* coefficients, const GradientOut& out) {
    const bool direct_out = blocks_.direct(out.dtype) && !out.accumulate;
    for (int64_t s = run_.begin; s < run_.end;) {
      const bool direct = blocks_.direct(in_.predictions.dtype) && blocks_.direct_target() && direct_out;
      const Block block = blocks_.next_block(s, run_.end, direct);
      const bool stage_out = !direct_out || block.partial;
      Sink<T> sink = staged_sink();
      if (!stage_out) sink = {static_cast<T*>(out.data) + blocks_.stager().offset(run_.n, s), in_.voxels, false};
      const View<T> z = blocks_.view(in_.predictions, block, staged_);
      blocks_.with_steps(z, block, blocks_.weighted(), staged_target_, [&](auto steps) {
        if constexpr (decltype(steps.target)::kStaged) general(steps).target_gradient(steps, coefficients, sink);
      });
      if (stage_out) blocks_.store_staged(out, block, staged_, false);
      s += block.voxels;
    }
  }

 private:
  static constexpr int64_t kLineBytes = 64;

  /// Steps that the workspace holds beside what is staged.
  size_t steps() const { return full_ ? 5 : 2; }

  T* reserve(Workspace& workspace) const {
    const size_t per_class = sizeof(Totals) + sizeof(int64_t) + sizeof(Slope<T>);
    return static_cast<T*>(
        workspace.reserve((steps() * step_ + 2 * staged_size_) * sizeof(T) + in_.classes * per_class));
  }

  Vec<T>* vectors(int64_t i) const { return reinterpret_cast<Vec<T>*>(memory_ + i * step_); }

  template <class Target>
  General<T, Target> general(const Steps<T, Target>&) const {
    return {in_, odds_};
  }

  Sink<T> staged_sink() const { return {staged_, blocks_.stager().stride, false}; }

  /// Where a block is kept: class by class, whatever the layout, since only step 3 reads it.
  Sink<T> kept_at(const GradientOut& out, const Block& block) const {
    T* data = static_cast<T*>(out.data) + blocks_.stager().offset(run_.n, block.s);
    return {data, blocks_.stager().channels_last ? block.voxels : in_.voxels, false};
  }

  View<T> kept_view(const GradientOut& out, const Block& block) const {
    const Sink<T> from = kept_at(out, block);
    if (!block.partial) return {from.data, from.class_stride};
    for (int64_t c = 0; c < in_.classes; c++) {
      load_row<T>(from.data + c * from.class_stride, block.voxels, staged_ + c * blocks_.stager().stride);
    }
    return {staged_, blocks_.stager().stride};
  }

  /// Not where the gradient is added to what is there or replaces the predictions.
  bool may_stream(const GradientOut& out) const {
    return out.streaming && !out.accumulate && out.data != in_.predictions.data;
  }

  /// Whether the rows of all classes begin at the same place of a line.
  bool rows_begin_alike(const GradientOut& out) const {
    const int64_t row_bytes = in_.voxels * static_cast<int64_t>(size_of(out.dtype));
    return in_.samples * in_.classes == 1 || row_bytes % kLineBytes == 0;
  }

  /// Voxels before the first that begins a line; -1 where none does.
  int64_t streaming_head(const GradientOut& out) const {
    const int64_t element_bytes = static_cast<int64_t>(size_of(out.dtype));
    const int64_t at = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out.data)) +
                       blocks_.stager().offset(run_.n, run_.begin) * element_bytes;
    if (at % element_bytes != 0) return -1;
    return (kLineBytes - at % kLineBytes) % kLineBytes / element_bytes;
  }

  template <bool kWeighted, class Target, class From>
  void add(const Steps<T, Target, From>& steps, bool keep, const Sink<T>& sink) {
    with_flag(in_.squared, [&](auto squared) {
      with_flag<!kHalf<From>>(keep, [&](auto kept) {
        with_flag(entropy(), [&](auto made) {
          constexpr bool kSquared = decltype(squared)::value, kKeep = decltype(kept)::value;
          constexpr bool kEntropy = decltype(made)::value;
          switch (in_.activation) {
            case Activation::none:
              return pointwise_statistics<T, false, kSquared, kWeighted, false, false>(steps, work_, totals_, sink);
            case Activation::sigmoid:
              return pointwise_statistics<T, true, kSquared, kWeighted, kKeep, kEntropy>(steps, work_, totals_, sink);
            case Activation::softmax:
              if constexpr (Target::kStaged)
                softmax_statistics<T, kSquared, kWeighted, kKeep, kEntropy>(steps, work_, dp_, totals_, sink);
          }
        });
      });
    });
  }

  template <bool kWeighted, class Target, class From>
  void differentiate(const Steps<T, Target, From>& steps, bool kept, const Sink<T, From>& sink) {
    with_flag<!kHalf<From>>(kept, [&](auto flag) {
      with_flag(entropy(), [&](auto made) {
        constexpr bool kKept = decltype(flag)::value, kEntropy = decltype(made)::value;
        switch (in_.activation) {
          case Activation::none:
            return pointwise_gradient<T, false, kWeighted, false, false>(steps, slopes_, sink);
          case Activation::sigmoid:
            return pointwise_gradient<T, true, kWeighted, kKept, kEntropy>(steps, slopes_, sink);
          case Activation::softmax:
            if constexpr (Target::kStaged)
              softmax_gradient<T, kWeighted, kKept, kEntropy>(steps, slopes_, work_, dp_, sink);
        }
      });
    });
  }

  /// Whether E or U are asked for.
  bool entropy() const { return in_.cross_entropy || in_.uniform; }

  const Inputs& in_;
  const Run& run_;
  const bool full_;
  const size_t step_;         // elements of a step: [C][kStep<T>]
  const size_t staged_size_;  // elements of a staged block
  T* const memory_;
  Blocks<T> blocks_;
  T *staged_, *staged_target_;  // a staged block of predictions, then of the gradient; of the target
  Vec<T>*dp_, *work_;           // [C][kUnroll]: dp, or the next step's logits; numerators, then p
  Odds<T> odds_ = {};           // only where full
  Totals* totals_;              // [C]
  Slope<T>* slopes_;            // [C]
  int64_t* counts_;             // [C]
};

void statistics(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums, const GradientOut* keep) {
  if (in.predictions.dtype == DType::float64) Runner<double>(in, run, workspace, !in.plain()).statistics(sums, keep);
  else Runner<float>(in, run, workspace, !in.plain()).statistics(sums, keep);
}

void gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
              const GradientOut& out, bool kept) {
  if (in.predictions.dtype == DType::float64)
    Runner<double>(in, run, workspace, !in.plain()).gradient(coefficients, out, kept);
  else Runner<float>(in, run, workspace, !in.plain()).gradient(coefficients, out, kept);
}

void target_gradient(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
                     const GradientOut& out) {
  if (in.predictions.dtype == DType::float64)
    Runner<double>(in, run, workspace, true).target_gradient(coefficients, out);
  else Runner<float>(in, run, workspace, true).target_gradient(coefficients, out);
}

}  // namespace

extern const Kernels kernels;
const Kernels kernels = {
#define WARPDICE_STRING(name) #name
#define WARPDICE_NAME(name) WARPDICE_STRING(name)
    WARPDICE_NAME(WARPDICE_TARGET),
    kVectorBytes,
    check_target,
    count_labels,
    statistics,
    gradient,
    target_gradient,
    count};

}  // namespace warpdice::cpu::WARPDICE_TARGET
