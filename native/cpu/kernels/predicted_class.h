#pragma once
// Finds the class of each voxel, from its label or from the largest of its predictions, as a code: a class below C, C
// for no class, C + 1 for an ignored voxel.
#include "cpu/kernels/dispatch.h"
#include "math/label.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Code: uint8_t or int32_t, which must hold classes + 1.
template <class Code>
struct ClassCodes {
  int64_t classes;

  /// No class: a NaN among the predictions, a dense target of zeros.
  Code no_class() const { return static_cast<Code>(classes); }
  /// The voxel is ignored, of weight 0 or padding.
  Code uncounted() const { return static_cast<Code>(classes + 1); }
};

/// labels, codes: [count]. if_ignored: the code of an ignored label. Any other value that is no class gets no_class().
template <class Label, class Code>
void classes_of_labels(const Inputs& in, const Label* labels, int count, Code if_ignored, Code* codes) {
  typedef std::make_unsigned_t<Label> Bits;  // makes labels below the first one large
  const Code no_class = ClassCodes<Code>{in.classes}.no_class();
  const Bits base = static_cast<Bits>(label_base(in)), max = static_cast<Bits>(-1);
  const Bits last = static_cast<uint64_t>(in.classes - 1) < max ? static_cast<Bits>(in.classes - 1) : max;
  for (int i = 0; i < count; i++) {
    const Bits c = static_cast<Bits>(static_cast<Bits>(labels[i]) - base);
    codes[i] = c <= last ? static_cast<Code>(c) : no_class;
  }
  if (!may_ignore<Label>(in)) return;
  const Label ignored = static_cast<Label>(in.ignore_index);
  for (int i = 0; i < count; i++) codes[i] = labels[i] == ignored ? if_ignored : codes[i];
}

/// Finds for kStep<T> voxels the class with the largest value: the lowest class at a tie, any class for a voxel with a
/// NaN. values: class c begins at c * stride. kClasses: C, to take one vector after the other, with all its classes in
/// registers; or 0 for any C, to take several vectors of a class side by side. Returns a vector that contains a NaN if
/// a value is NaN (and possibly if two values are infinite).
template <class T, int kClasses, class Code>
Vec<T> largest_class(int64_t classes, const T* values, int64_t stride, Code* codes) {
  typedef typename Alike<T, Code>::V Narrow;
  constexpr int kVectors = kClasses ? 1 : kUnroll, kLanes = Simd<T>::lanes;
  if (kClasses) classes = kClasses;
  Vec<T> total = {};
  for (int i = 0; i < kStep<T>; i += kVectors * kLanes) {
    Vec<T> largest[kVectors];
    Mask<T> code[kVectors] = {};
    for (int v = 0; v < kVectors; v++) {
      largest[v] = load<Vec<T>>(values + i + v * kLanes);
      total += largest[v];
    }
    for (int64_t c = 1; c < classes; c++) {
      for (int v = 0; v < kVectors; v++) {
        const Vec<T> value = load<Vec<T>>(values + c * stride + i + v * kLanes);
        code[v] = value > largest[v] ? Mask<T>{} + static_cast<typename Simd<T>::Int>(c) : code[v];
        largest[v] = value > largest[v] ? value : largest[v];
        total += value;
      }
    }
    for (int v = 0; v < kVectors; v++) store(codes + i + v * kLanes, __builtin_convertvector(code[v], Narrow));
  }
  return total;
}

/// Gives no_class() to voxels with a NaN and, in a target, to voxels where no value is above 0.
template <class T, class Code>
void clear_class(int64_t classes, const T* values, int64_t stride, int count, bool is_target, Code* codes) {
  for (int i = 0; i < count; i++) {
    bool has_class = !is_target;
    for (int64_t c = 0; c < classes; c++) has_class |= values[c * stride + i] > 0;
    for (int64_t c = 0; c < classes; c++) has_class &= values[c * stride + i] == values[c * stride + i];
    if (!has_class) codes[i] = ClassCodes<Code>{classes}.no_class();
  }
}

/// values: class c begins at c * stride. is_target: a voxel where no value is above 0 has no class.
template <class T, class Code>
void predicted_classes(int64_t classes, const T* values, int64_t stride, int count, bool is_target, Code* codes) {
  // Codes of many classes, and of doubles, are wide: there a constant would not pay for its compile time.
  with_few_classes<sizeof(Code) == 1>(classes, [&](auto constant) {
    // A step at a time, so that a NaN costs little more than itself.
    for (int i = 0; i < count; i += kStep<T>) {
      const Vec<T> total = largest_class<T, decltype(constant)::value>(classes, values + i, stride, codes + i);
      bool unordered = is_target;
      for (int lane = 0; lane < Simd<T>::lanes; lane++) unordered |= total[lane] != total[lane];
      if (unordered) clear_class(classes, values + i, stride, kStep<T>, is_target, codes + i);
    }
  });
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
