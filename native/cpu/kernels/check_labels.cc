// Before step 1: checks that the target's values are classes.
#include "cpu/kernels/check_labels.h"

#include <cstring>
#include <limits>

#include "cpu/kernels/dispatch.h"
#include "cpu/memory/read_values.h"
#include "math/label.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

constexpr int kBlock = 512;  // voxels

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

/// Adds one fault. Rows may be visited out of order.
template <class Value>
void note_fault(Value value, int64_t index, LabelFault& faults) {
  LabelFault one;
  one.count = 1;
  one.first_index = index;
  one.first_value = static_cast<double>(value);
  faults.add(one);
}

bool is_zero(float x) { return x == 0; }
bool is_zero(double x) { return x == 0; }
bool is_zero(uint8_t x) { return x == 0; }
bool is_zero(Float16 x) { return (x.bits & 0x7fff) == 0; }
bool is_zero(BFloat16 x) { return (x.bits & 0x7fff) == 0; }

/// Whether value `index` of a target is read: its class has a weight of its own there or, of a label, any class has
/// one.
bool has_class_weight(const Inputs& in, int64_t index) {
  const auto is_zero = [&](int64_t at) {
    double weight;
    read_values(in.class_weight, at, 1, 1, &weight);
    return weight == 0;
  };
  if (!in.labels) return !is_zero(index);
  const int64_t C = in.classes, S = in.voxels, n = index / S, s = index % S;
  for (int64_t c = 0; c < C; c++) {
    if (!is_zero(in.interleaved() ? index * C + c : (n * C + c) * S + s)) return true;
  }
  return false;
}

/// Values of one row of a target: `each` neighbouring ones for every voxel. first: the flat index of the first value.
/// first_voxel: its voxel among [N,S].
struct Row {
  int64_t voxels, each, first, first_voxel;
};

/// Adds the rule's faults, except those of voxels of weight 0.
template <class Value>
void note_faults(const Inputs& in, const LabelRule<Value>& rule, const Value* values, const Row& row,
                 LabelFault& faults) {
  if (!any_from(values, row.voxels * row.each, rule.end())) return;
  alignas(64) uint8_t read[kBlock];
  memset(read, 1, kBlock);
  for (int64_t s = 0; s < row.voxels; s += kBlock) {
    const int count = row.voxels - s < kBlock ? static_cast<int>(row.voxels - s) : kBlock;
    const Value* block = values + s * row.each;
    if (!any_from(block, count * row.each, rule.end())) continue;
    if (in.weight.data) mark_weighted(in.weight, row.first_voxel + s, count, read);
    uint8_t found = 0;
    for (int j = 0; j < count && row.each == 1; j++) found |= read[j] & static_cast<uint8_t>(rule.is_fault(block[j]));
    if (row.each == 1 && found == 0) continue;
    for (int j = 0; j < count; j++) {
      for (int64_t i = j * row.each; read[j] && i < (j + 1) * row.each; i++) {
        const int64_t index = row.first + s * row.each + i;
        if (!rule.is_fault(block[i]) || (in.class_weight.data && !has_class_weight(in, index))) continue;
        note_fault(block[i], index, faults);
      }
    }
  }
}

}  // namespace

void mark_weighted(const Operand& weight, int64_t first, int count, uint8_t* weighted) {
  with_elements(weight, [&](const auto* weights) {
    for (int j = 0; j < count; j++) weighted[j] = is_zero(weights[first + j]) ? 0 : 1;
  });
}

LabelFault check_target(const Inputs& in, const Run& run) {
  LabelFault faults;
  const int64_t voxels = run.end - run.begin, first_voxel = run.n * in.voxels + run.begin;
  if (in.labels) {
    with_labels(in.target, [&](const auto* labels) {
      using Label = std::remove_const_t<std::remove_pointer_t<decltype(labels)>>;
      note_faults(in, LabelRule<Label>(in), labels + first_voxel, {voxels, 1, first_voxel, first_voxel}, faults);
    });
  } else if (in.target.dtype >= DType::uint8) {
    with_labels(in.target, [&](const auto* bits) {
      using Bit = std::remove_const_t<std::remove_pointer_t<decltype(bits)>>;
      const LabelRule<Bit> rule = LabelRule<Bit>::of_mask(in);
      if (in.interleaved()) {
        const int64_t first = first_voxel * in.classes;
        note_faults(in, rule, bits + first, {voxels, in.classes, first, first_voxel}, faults);
        return;
      }
      for (int64_t c = 0; c < in.classes; c++) {
        const int64_t first = (run.n * in.classes + c) * in.voxels + run.begin;
        note_faults(in, rule, bits + first, {voxels, 1, first, first_voxel}, faults);
      }
    });
  }
  return faults;
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
