#include "cpu/run.h"

#include <algorithm>
#include <cstring>

#include "cpu/engine.h"
#include "cpu/kernels/kernels.h"
#include "cpu/memory/workspace.h"

namespace warpdice::cpu {
namespace {

static_assert(kSumCount == 8, "lib/calls/statistics.ts names eight sums");

/// A thread's memory between the steps: of the samples whose sums are held. Kept from call to call, so that a training
/// step allocates nothing, unless much is kept already.
class Memory {
 public:
  Sums* sums = nullptr;                  // [held,C]; pooled, [C] before those of the samples that come later
  Coefficients* coefficients = nullptr;  // [held,C]; pooled [C], before those of each sample where samples have weights
  int64_t* counts = nullptr;             // [held,C+1]

  Memory(const Call& call, const Strategy& strategy) {
    const int64_t C = call.in.classes, held = strategy.samples_held;
    const bool pooled = call.options.pooled, differentiates = call.steps & (kGradient | kTargetGradient);
    sums = take<Sums>(kept_[0], (pooled && held < call.in.samples ? held + 1 : held) * C);
    // Pooled samples share theirs, unless each has weights of its own.
    const int64_t rows = !pooled ? held : call.pairs ? call.in.samples + 1 : 1;
    coefficients = take<Coefficients>(kept_[1], differentiates ? rows * C : 0);
    counts = take<int64_t>(kept_[2], strategy.counts_labels ? held * (C + 1) : 0);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (Workspace& workspace : kept_) workspace.trim();
  }

 private:
  template <class Element>
  static Element* take(Workspace& workspace, int64_t count) {
    return count == 0 ? nullptr
                      : static_cast<Element*>(workspace.reserve(static_cast<size_t>(count) * sizeof(Element)));
  }

  static thread_local Workspace kept_[3];
};

thread_local Workspace Memory::kept_[3];

thread_local Strategy last;
thread_local bool has_run = false;

/// `operand` from element `first` on.
Operand from_element(const Operand& operand, int64_t first) {
  if (!operand.data) return operand;
  return {static_cast<const char*>(operand.data) + first * static_cast<int64_t>(size_of(operand.dtype)), operand.dtype};
}

/// Samples [n, n + count).
Inputs slice(const Inputs& in, int64_t n, int64_t count) {
  const int64_t per_sample = in.classes * in.voxels;
  Inputs part = in;
  part.samples = count;
  part.predictions = from_element(in.predictions, n * per_sample);
  part.target = from_element(in.target, n * (in.labels ? in.voxels : per_sample));
  part.weight = from_element(in.weight, n * in.voxels);
  part.class_weight = from_element(in.class_weight, n * per_sample);
  return part;
}

GradientOut slice(const GradientOut& out, const Inputs& in, int64_t n) {
  GradientOut part = out;
  part.data = static_cast<char*>(out.data) + n * in.classes * in.voxels * static_cast<int64_t>(size_of(out.dtype));
  return part;
}

/// Adds the divisors of the samples' means as far as they are known before step 1: from the shape when every voxel has
/// one class, else from the counts [samples,C+1] of their labels. first: the first of the samples.
void add_expected(const Call& call, int64_t first, int64_t samples, const int64_t* counts, GroupTotals& total) {
  const int64_t C = call.in.classes;
  for (int64_t n = 0; n < samples; n++) {
    const int64_t* of_sample = counts ? counts + n * (C + 1) : nullptr;
    GroupTotals group = {};
    for (int64_t c = 0; c < C; c++) {
      Sums sums = {};
      sums.weight = static_cast<double>(call.in.voxels - (counts ? of_sample[C] : 0));
      sums.volume = counts ? static_cast<double>(of_sample[c]) : c == 0 ? sums.weight : 0;
      add_class(call.options, C, c, sums, group, pair_at(call.options, call.pairs, (first + n) * C + c, sums));
    }
    add_group(call.options, total, group);
  }
}

/// One call under way.
class Execution {
 public:
  Execution(const Call& call, const Strategy& strategy)
      : call_(call), in_(call.in), strategy_(strategy), memory_(call, strategy), out_(call.grad) {
    out_.streaming = strategy.streams;
  }

  LabelFault run() {
    if (computes()) {
      const LabelFault faults = check_labels();
      if (faults.count > 0) return faults;
    }
    return call_.options.pooled ? run_pooled() : run_groups();
  }

 private:
  bool computes() const { return call_.steps & kStatistics; }
  bool differentiates() const { return call_.steps & (kGradient | kTargetGradient); }
  int64_t C() const { return in_.classes; }

  /// Also computes what the means divide by, if that is known now.
  LabelFault check_labels() {
    if (strategy_.knows_totals && !strategy_.counts_labels) add_expected(call_, 0, in_.samples, nullptr, total_);
    if (!strategy_.counts_labels) return check_target(in_);
    LabelFault faults;
    for (int64_t n = 0; n < in_.samples; n += strategy_.samples_held) {
      const int64_t count = std::min(strategy_.samples_held, in_.samples - n);
      LabelFault fault = check_target(slice(in_, n, count), memory_.counts);
      fault.first_index += n * in_.voxels;
      faults.add(fault);
      add_expected(call_, n, count, memory_.counts, total_);
    }
    return faults;
  }

  /// Step 1 of the samples [first, last).
  LabelFault compute(int64_t first, int64_t last, Sums* sums, const GradientOut* keep = nullptr) {
    LabelFault faults = statistics(slice(in_, first, last - first), sums, keep, call_.reproducible);
    faults.first_index += first * C() * in_.voxels;
    return faults;
  }

  /// The sums of the groups [first, last), computed or given.
  LabelFault make_sums(int64_t first, int64_t last) {
    if (computes()) return compute(first, last, memory_.sums);
    std::memcpy(memory_.sums, call_.statistics + first * C() * kSumCount, sums_bytes(last - first));
    return {};
  }

  size_t sums_bytes(int64_t groups) const { return static_cast<size_t>(groups * C()) * sizeof(Sums); }

  /// Samples that stand together for one group.
  LabelFault run_pooled() {
    const int64_t N = in_.samples;
    for (int64_t n = 0; computes() && n < N; n += strategy_.samples_held) {
      const int64_t end = std::min(n + strategy_.samples_held, N);
      Sums* sums = memory_.sums + (n == 0 ? 0 : C());
      const LabelFault faults = compute(n, end, sums);
      if (faults.count > 0) return faults;
      for (int64_t i = n; call_.pairs && i < end; i++) weigh(pairs_of(i), C(), sums + (i - n) * C());
      for (int64_t i = n == 0 ? 1 : 0; i < end - n; i++) {  // in the order of the samples
        for (int64_t c = 0; c < C(); c++) add(memory_.sums[c], sums[i * C() + c]);
      }
    }
    if (!computes()) make_sums(0, 1);
    total_ = totals_of_all(call_.options, 1, C(), memory_.sums, call_.pairs);
    ValueSums value;
    finish(0, 1, value);
    if (differentiates()) run_gradients(0, 1);
    if (call_.steps & kFinalize) finalize_total(call_.options, value, call_.value, call_.parts);
    return {};
  }

  /// Samples that are groups of their own.
  LabelFault run_groups() {
    const int64_t groups = call_.groups(), held = strategy_.samples_held;
    const auto for_held = [&](auto visit) {
      for (int64_t first = 0; first < groups; first += held) {
        const LabelFault faults = visit(first, std::min(first + held, groups));
        if (faults.count > 0) return faults;
      }
      return LabelFault{};
    };
    LabelFault faults;
    if (!strategy_.knows_totals) {
      faults = for_held([&](int64_t first, int64_t last) {
        const LabelFault found = make_sums(first, last);
        for (int64_t g = 0; g < last - first; g++) {
          add_group(call_.options, total_,
                    totals_of_group(call_.options, C(), memory_.sums + g * C(), pairs_of(first + g)));
        }
        return found;
      });
    }
    if (faults.count > 0) return faults;
    const bool has_sums = !strategy_.knows_totals && held == groups;
    ValueSums value;
    faults = for_held([&](int64_t first, int64_t last) {
      LabelFault found;
      if (strategy_.fuses_steps) found = run_fused(first, last);
      else if (!has_sums) found = make_sums(first, last);
      if (found.count > 0) return found;
      finish(first, last, value);
      if (differentiates() && !strategy_.fuses_steps) run_gradients(first, last);
      return found;
    });
    if (faults.count == 0 && (call_.steps & kFinalize)) {
      finalize_total(call_.options, value, call_.value, call_.parts);
    }
    return faults;
  }

  /// Hands over the sums of the groups [first, last), and what follows from these for the value.
  void finish(int64_t first, int64_t last, ValueSums& value) {
    if (computes() && call_.statistics) {
      std::memcpy(call_.statistics + first * C() * kSumCount, memory_.sums, sums_bytes(last - first));
    }
    if (call_.steps & kFinalize) {
      finalize_groups(call_.options, first, last, C(), memory_.sums, total_.counted, call_.pairs, call_.value,
                      call_.parts, call_.per_class, value);
    }
  }

  /// Steps 1 and 3 of the samples [first, last), a few at a time, up to samples with invalid values.
  LabelFault run_fused(int64_t first, int64_t last) {
    for (int64_t n = first; n < last; n += strategy_.samples_at_once) {
      const int64_t end = std::min(n + strategy_.samples_at_once, last);
      const GradientOut place = slice(out_, in_, n);
      Sums* sums = memory_.sums + (n - first) * C();
      const LabelFault faults = compute(n, end, sums, strategy_.reuses_probabilities ? &place : nullptr);
      if (faults.count > 0) return faults;
      make_coefficients(sums, n, end);
      gradient(slice(in_, n, end - n), memory_.coefficients, false, place, strategy_.reuses_probabilities);
    }
    return {};
  }

  /// Step 3 of the groups [first, last), as far as the call has their samples, for the predictions and for the target.
  void run_gradients(int64_t first, int64_t last) {
    const bool pooled = call_.options.pooled;
    const int64_t offset = pooled ? 0 : call_.sample_offset;
    const int64_t begin = std::max(first, offset), end = std::min(last, pooled ? last : offset + in_.samples);
    if (begin >= end) return;
    make_coefficients(memory_.sums + (begin - first) * C(), begin, end);
    const int64_t n = begin - offset;
    const Inputs part = pooled ? in_ : slice(in_, n, end - begin);
    const Coefficients* const coefficients = pooled && call_.pairs ? weigh_coefficients() : memory_.coefficients;
    const bool shared = pooled && !call_.pairs;
    // The target's gradient comes first, because the other one may replace the predictions.
    if (call_.steps & kTargetGradient) {
      target_gradient(part, coefficients, shared, slice(call_.target_grad, in_, n));
    }
    if (call_.steps & kGradient) gradient(part, coefficients, shared, slice(out_, in_, n));
  }

  /// sums: of the groups [first, last).
  void make_coefficients(const Sums* sums, int64_t first, int64_t last) {
    finalize_coefficients(call_.options, C(), sums, total_, call_.scale, call_.upstream, memory_.coefficients, first,
                          last, call_.pairs);
  }

  /// Those of pooled samples, each with its weights, from those of all.
  const Coefficients* weigh_coefficients() {
    Coefficients* const own = memory_.coefficients + C();
    for (int64_t n = 0; n < in_.samples; n++) weigh(pairs_of(n), C(), memory_.coefficients, own + n * C());
    return own;
  }

  const double* pairs_of(int64_t n) const { return call_.pairs ? call_.pairs + n * C() : nullptr; }

  const Call& call_;
  const Inputs& in_;
  const Strategy strategy_;
  const Memory memory_;
  GradientOut out_;
  GroupTotals total_ = {};  // of all groups; where knows_totals, only what the means divide by
};

}  // namespace

LabelFault run(const Call& call) {
  Capabilities capabilities;
  capabilities.vector_bytes = kernels().vector_bytes;
  return run(call, capabilities);
}

LabelFault run(const Call& call, const Capabilities& capabilities) {
  last = choose_strategy(call, capabilities);
  has_run = true;
  return Execution(call, last).run();
}

const Strategy* last_strategy() { return has_run ? &last : nullptr; }

}  // namespace warpdice::cpu
