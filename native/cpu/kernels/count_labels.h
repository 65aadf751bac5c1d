#pragma once
// Counts the voxels of each class.
#include "cpu/kernels/dispatch.h"
#include "cpu/kernels/kernels.h"
#include "math/label.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// With at most so many classes, labels are counted class by class.
constexpr int64_t kFewClasses = 32;

/// How many of `count` labels are `wanted`. Counted in lanes of Label, emptied before they overflow.
template <class Label>
int64_t count_label(const Label* labels, int64_t count, Label wanted) {
  constexpr int kLanes = kVectorBytes / sizeof(Label), kMax = 127;
  typedef Label Lanes __attribute__((vector_size(kVectorBytes)));
  int64_t total = 0, j = 0;
  while (j + kLanes <= count) {
    Lanes found = {};
    for (int i = 0; i < kMax && j + kLanes <= count; i++, j += kLanes) {
      found -= (Lanes)(load<Lanes>(labels + j) == Lanes{} + wanted);
    }
    if constexpr (sizeof(Label) == 1) {
      total += sum_bytes(found);
      continue;
    }
    Label lanes[kLanes];
    store(lanes, found);
    int64_t part = 0;
    for (int i = 0; i < kLanes; i++) part += lanes[i];
    total += part;
  }
  for (; j < count; j++) total += labels[j] == wanted;
  return total;
}

/// Adds the voxels of each class to counts [C]; class c is label c + base. For few classes comparing with each is
/// faster than a table, whose entries wait for each other.
template <class Label>
void count_each(const Label* labels, int64_t count, int64_t classes, int64_t base, int64_t* counts) {
  if (classes <= kFewClasses) {
    for (int64_t c = 0; c < classes; c++) counts[c] += count_label(labels, count, static_cast<Label>(c + base));
    return;
  }
  for (int64_t j = 0; j < count; j++) {
    const int64_t c = static_cast<int64_t>(labels[j]) - base;
    if (c >= 0 && c < classes) counts[c]++;
  }
}

/// counts: [C + 1], added to: the voxels of each class, then the ignored ones, which are of no class.
inline void count_labels(const Inputs& in, const Run& run, int64_t* counts) {
  with_labels(in.target, [&](const auto* labels) {
    using Label = std::remove_const_t<std::remove_pointer_t<decltype(labels)>>;
    const Label* from = labels + run.n * in.voxels + run.begin;
    const int64_t count = run.end - run.begin, base = label_base(in), c = in.ignore_index - base;
    count_each(from, count, in.classes, base, counts);
    if (!may_ignore<Label>(in)) return;
    counts[in.classes] += count_label(from, count, static_cast<Label>(in.ignore_index));
    if (c >= 0 && c < in.classes) counts[c] = 0;
  });
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
