#pragma once
// The class that each voxel's labels or predictions name. A name is an index below C, or one of the two after.
#include "cpu/kernels/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Name: uint8_t or int32_t, which must hold classes + 1.
template <class Name>
struct Names {
  int64_t classes;

  /// No class: a NaN among the predictions, a dense target of zeros.
  Name nothing() const { return static_cast<Name>(classes); }
  /// The voxel is ignored, of weight 0 or padding.
  Name uncounted() const { return static_cast<Name>(classes + 1); }
};

/// labels, names: [count]. if_ignored: what an ignored label names. Any other value that is no class names nothing.
template <class Label, class Name>
void name_labels(const Inputs& in, const Label* labels, int count, Name if_ignored, Name* names) {
  typedef typename Unsigned<sizeof(Label)>::type Bits;  // in which smaller ones are large
  const Name nothing = Names<Name>{in.classes}.nothing();
  const Bits base = static_cast<Bits>(in.label_base()), most = static_cast<Bits>(-1);
  const Bits last = static_cast<uint64_t>(in.classes - 1) < most ? static_cast<Bits>(in.classes - 1) : most;
  const Label ignored = static_cast<Label>(in.ignore_index);
  const bool may_ignore = in.has_ignore && static_cast<int64_t>(ignored) == in.ignore_index;
  for (int i = 0; i < count; i++) {
    const Bits c = static_cast<Bits>(static_cast<Bits>(labels[i]) - base);
    names[i] = c <= last ? static_cast<Name>(c) : nothing;
  }
  if (!may_ignore) return;
  for (int i = 0; i < count; i++) names[i] = labels[i] == ignored ? if_ignored : names[i];
}

/// Of kStep<T> voxels the class with the largest value: the lowest one at a tie, and not reliable where one is NaN.
/// values: class c begins at c * stride. kClasses: C, and then a vector's classes stay in registers; or 0 for any, and
/// then a class's vectors are read side by side. Returns a vector with a NaN in it if a value is one (and perhaps where
/// two are infinite).
template <class T, int kClasses, class Name>
Vec<T> name_largest(int64_t classes, const T* values, int64_t stride, Name* names) {
  typedef typename Alike<T, Name>::V Narrow;
  constexpr int kVectors = kClasses ? 1 : kUnroll, kLanes = Simd<T>::lanes;
  if (kClasses) classes = kClasses;
  Vec<T> total = {};
  for (int i = 0; i < kStep<T>; i += kVectors * kLanes) {
    Vec<T> largest[kVectors];
    Mask<T> name[kVectors] = {};
    for (int v = 0; v < kVectors; v++) {
      largest[v] = load<Vec<T>>(values + i + v * kLanes);
      total += largest[v];
    }
    for (int64_t c = 1; c < classes; c++) {
      for (int v = 0; v < kVectors; v++) {
        const Vec<T> value = load<Vec<T>>(values + c * stride + i + v * kLanes);
        name[v] = value > largest[v] ? Mask<T>{} + static_cast<typename Simd<T>::Int>(c) : name[v];
        largest[v] = value > largest[v] ? value : largest[v];
        total += value;
      }
    }
    for (int v = 0; v < kVectors; v++) store(names + i + v * kLanes, __builtin_convertvector(name[v], Narrow));
  }
  return total;
}

/// The names of voxels that have a NaN: nothing. For a target also of those where no value is above 0.
template <class T, class Name>
void unname(int64_t classes, const T* values, int64_t stride, int count, bool is_target, Name* names) {
  for (int i = 0; i < count; i++) {
    bool named = !is_target;
    for (int64_t c = 0; c < classes; c++) named |= values[c * stride + i] > 0;
    for (int64_t c = 0; c < classes; c++) named &= values[c * stride + i] == values[c * stride + i];
    if (!named) names[i] = Names<Name>{classes}.nothing();
  }
}

/// values: class c begins at c * stride. is_target: where no value is above 0 the voxel is of no class.
template <class T, class Name>
void name_classes(int64_t classes, const T* values, int64_t stride, int count, bool is_target, Name* names) {
  with_few_classes(classes, [&](auto constant) {
    // A step at a time, so that a NaN costs little more than itself.
    for (int i = 0; i < count; i += kStep<T>) {
      const Vec<T> total = name_largest<T, decltype(constant)::value>(classes, values + i, stride, names + i);
      bool unordered = is_target;
      for (int lane = 0; lane < Simd<T>::lanes; lane++) unordered |= total[lane] != total[lane];
      if (unordered) unname(classes, values + i, stride, kStep<T>, is_target, names + i);
    }
  });
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
