#pragma once
// Before step 1: checks that the target's values are classes.
#include <limits>

#include "cpu/kernels/dispatch.h"
#include "cpu/kernels/kernels.h"
#include "math/label.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Whether any of `count` values, read as unsigned, is `end` or more. Negative values are.
template <class Value>
bool any_from(const Value* values, int64_t count, int64_t end) {
  typedef std::make_unsigned_t<Value> Bits;
  constexpr int64_t kMax = std::numeric_limits<Value>::max();
  if (std::is_unsigned_v<Value> && end > kMax) return false;
  const Bits last = static_cast<Bits>(end <= kMax ? end - 1 : kMax);
  Bits found = 0;
  for (int64_t j = 0; j < count; j++) found |= static_cast<Bits>(values[j]) > last;
  return found != 0;
}

/// Adds the rule's faults.
template <class Value>
void note_faults(const LabelRule<Value>& rule, const Value* values, int64_t count, int64_t first, LabelFault& faults) {
  if (!any_from(values, count, rule.end())) return;
  for (int64_t j = 0; j < count; j++) {
    if (!rule.is_fault(values[j])) continue;
    // Rows may be visited out of order.
    if (faults.count == 0 || first + j < faults.first_index) {
      faults.first_index = first + j;
      faults.first_value = static_cast<double>(values[j]);
    }
    faults.count++;
  }
}

/// Labels are classes; integers with one value per class are 0 and 1. Floats are checked in step 1.
inline LabelFault check_target(const Inputs& in, const Run& run) {
  LabelFault faults;
  const int64_t voxels = run.end - run.begin;
  if (in.labels) {
    const int64_t first = run.n * in.voxels + run.begin;
    with_labels(in.target, [&](const auto* labels) {
      using Label = std::remove_const_t<std::remove_pointer_t<decltype(labels)>>;
      note_faults(LabelRule<Label>(in), labels + first, voxels, first, faults);
    });
  } else if (in.target.dtype >= DType::uint8) {
    with_labels(in.target, [&](const auto* bits) {
      using Bit = std::remove_const_t<std::remove_pointer_t<decltype(bits)>>;
      const LabelRule<Bit> rule = LabelRule<Bit>::of_mask(in);
      if (in.interleaved()) {
        const int64_t first = (run.n * in.voxels + run.begin) * in.classes;
        note_faults(rule, bits + first, voxels * in.classes, first, faults);
        return;
      }
      for (int64_t c = 0; c < in.classes; c++) {
        const int64_t first = (run.n * in.classes + c) * in.voxels + run.begin;
        note_faults(rule, bits + first, voxels, first, faults);
      }
    });
  }
  return faults;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
