#pragma once
// Step 0: are the target's values classes?
#include "cpu/kernels/kernels.h"
#include "cpu/kernels/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Whether any of `count` values, as unsigned, is `limit` or more. Then negative ones are as well.
template <class Value>
bool any_from(const Value* values, int64_t count, int64_t limit) {
  typedef typename Unsigned<sizeof(Value)>::type Bits;
  if (sizeof(Value) == 1 && limit > 255) return false;
  Bits found = 0;
  for (int64_t j = 0; j < count; j++) found |= static_cast<Bits>(values[j]) >= static_cast<Bits>(limit);
  return found != 0;
}

/// Adds the values outside [0, limit) to the faults, but for the ignored one.
template <class Value>
void note_faults(const Inputs& in, const Value* values, int64_t count, int64_t first, int64_t limit,
                 LabelFault& faults) {
  if (!any_from(values, count, limit)) return;
  for (int64_t j = 0; j < count; j++) {
    const int64_t value = static_cast<int64_t>(values[j]);
    if ((value >= 0 && value < limit) || (in.has_ignore && value == in.ignore_index)) continue;
    // Rows may be visited out of order.
    if (faults.count == 0 || first + j < faults.first_index) faults.first_index = first + j, faults.first_value = value;
    faults.count++;
  }
}

/// Labels are classes; an integer target with one value per class holds 0 and 1; floats may be anything.
inline LabelFault check_target(const Inputs& in, const Run& run) {
  LabelFault faults;
  const int64_t voxels = run.end - run.begin;
  if (in.labels) {
    const int64_t first = run.n * in.voxels + run.begin;
    with_label(in.target.dtype, [&](auto* labels) {
      labels = static_cast<decltype(labels)>(const_cast<void*>(in.target.data)) + first;
      note_faults(in, labels, voxels, first, in.classes + in.label_base(), faults);
    });
  } else if (in.target.dtype == DType::uint8) {
    const uint8_t* bits = static_cast<const uint8_t*>(in.target.data);
    if (in.interleaved()) {
      const int64_t first = (run.n * in.voxels + run.begin) * in.classes;
      note_faults(in, bits + first, voxels * in.classes, first, 2, faults);
    } else {
      for (int64_t c = 0; c < in.classes; c++) {
        const int64_t first = (run.n * in.classes + c) * in.voxels + run.begin;
        note_faults(in, bits + first, voxels, first, 2, faults);
      }
    }
  }
  return faults;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
