#pragma once
// Converts layouts: a block of an array [N,C,S] or [N,S,C] becomes one class after the other, and back.
#include "cpu/kernels/rows.h"
#include "math/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Converts blocks of `count` voxels from (n, s), all classes, of arrays of any float dtype.
template <class T>
struct LayoutConverter {
  int64_t classes, voxels;
  bool channels_last;
  T* scratch;                 // [C][kStep<T>], used by load() and store() only
  int64_t stride = kStep<T>;  // elements from class to class of the staged block: a multiple of kStep<T> or more

  /// Elements before class 0 of voxel s of sample n.
  int64_t offset(int64_t n, int64_t s) const {
    return channels_last ? (n * voxels + s) * classes : n * classes * voxels + s;
  }

  /// staged: [C][whole steps], the rest of the last step 0.
  void load(const Operand& array, int64_t n, int64_t s, int count, T* staged) const;

  /// Writes a staged block to the array.
  void store(const GradientOut& out, int64_t n, int64_t s, int count, const T* staged, StoreMode mode) const;
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
