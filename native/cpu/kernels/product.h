#pragma once
// What a head needs of each SIMD target: products of small matrices, and the conversion of features.
#include "math/types.h"

namespace warpdice::cpu {

/// Terms of which a product takes less time than the memory, whatever its blocks.
constexpr int64_t kFewTerms = 8;

/// to[r][c] = start[r] + sum_i a[r][i] * b[i][c]. Rows of b and of `to` are read and written in whole vectors, of 64
/// bytes at most: beyond `columns` they hold anything. The strides are in elements.
template <class T>
struct Product {
  int64_t rows, inner, columns;
  const T* a;
  int64_t a_row, a_inner;
  const T* b;
  int64_t b_inner;
  T* to;
  int64_t to_row;
  const T* start = nullptr;  // null: zeros
  bool adds = false;         // add to what `to` holds
  // Where b is copied to on the way, or null. Whole vectors of 64 bytes only. Each element of b is then read once.
  T* copy = nullptr;
  int64_t copy_row = 0;
  // Write around the caches, without a copy; then fence(). Up to kFewTerms terms go to any address, and nothing is
  // written beyond `columns`; more terms take whole vectors of 64 bytes only, each of them aligned.
  bool streams = false;
  // For rows of few terms that several products write around the caches, one after the other along the columns: where
  // the part of a line at the end of each row waits for the rest, [rows][64 bytes], or null. The first of these
  // products begins, and has 64 bytes of columns or more if another one follows; the last one ends.
  T* waiting = nullptr;
  bool begins = false, ends = false;
};

/// to[r][c] += sum_i a[r][i] * b[c][i]. Rows of a and b are read in whole vectors, of 64 bytes at most; what lies
/// beyond `inner` does not count. The strides are in elements.
template <class T>
struct RowProduct {
  int64_t rows, inner, columns;
  const T* a;
  int64_t a_row;
  const T* b;
  int64_t b_row;
  T* to;
  int64_t to_row;
};

/// An array of numbers of any float dtype, [N,channels,S] or [N,S,channels].
struct Rows {
  int64_t channels, voxels;
  bool channels_last;
};

/// `count` voxels of it from voxel s of sample n on.
struct RowsAt {
  int64_t n, s;
  int count;
};

template <class T>
struct Products {
  /// Of a row of b, and of `to`, that multiply() takes before it goes to the next row.
  int bytes_together;

  /// The most rows of a product for which multiply() reads each element of b once.
  int64_t rows_read_once;

  /// Elements of a row that load() writes at a time.
  int step;

  void (*multiply)(const Product<T>& product);

  void (*multiply_rows)(const RowProduct<T>& product);

  /// to[channel][voxel], with 0 after the last voxel up to a whole step. scratch: [channels][step], for channels last.
  void (*load)(const Operand& from, const Rows& rows, const RowsAt& at, T* to, int64_t to_row, T* scratch);

  /// The reverse.
  void (*store)(const GradientOut& to, const Rows& rows, const RowsAt& at, const T* from, int64_t from_row, T* scratch);

  /// to[r] += sum_c from[r][c]
  void (*add_rows)(const T* from, int64_t rows, int64_t columns, int64_t from_row, double* to);

  /// After the last row that was written around the caches, before other threads read it.
  void (*fence)();
};

}  // namespace warpdice::cpu
