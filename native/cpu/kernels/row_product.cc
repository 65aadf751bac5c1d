// Products of the rows of two matrices, for few rows of the first: each vector of the second is read once.
#include "cpu/kernels/row_product.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// The first `count` lanes; 0 in the others.
template <class T>
WARPDICE_INLINE Vec<T> first_lanes(Vec<T> v, int64_t count) {
  Mask<T> lane;
  for (int i = 0; i < Simd<T>::lanes; i++) lane[i] = static_cast<typename Simd<T>::Int>(i);
  return lane < static_cast<typename Simd<T>::Int>(count) ? v : Vec<T>{};
}

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool kManyRegisters = true;
#else
constexpr bool kManyRegisters = false;
#endif

/// Rows of b that are taken together: as many as the registers hold sums for, and as hide the latency of an addition.
template <int kRows>
constexpr int columns_at_once() {
  if (kManyRegisters) return kRows <= 3 ? 8 : 4;
  return kRows == 1 ? 8 : kRows == 2 ? 4 : 2;
}

template <class T, int kRows, int kColumns>
void multiply_block(const RowProduct<T>& product, int64_t row, int64_t column) {
  constexpr int kLanes = Simd<T>::lanes;
  Vec<T> sum[kRows][kColumns] = {};
  const T* a = product.a + row * product.a_row;
  const T* b = product.b + column * product.b_row;
  const int64_t a_row = product.a_row, b_row = product.b_row;
  const auto add = [&](auto keep) {
    Vec<T> factors[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) factors[r] = keep(load<Vec<T>>(a + r * a_row));
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; c++) {
      const Vec<T> term = keep(load<Vec<T>>(b + c * b_row));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sum[r][c] += factors[r] * term;
    }
  };
  int64_t left = product.inner;
  for (; left >= kLanes; left -= kLanes, a += kLanes, b += kLanes) add([](Vec<T> v) { return v; });
  if (left > 0) add([&](Vec<T> v) { return first_lanes<T>(v, left); });
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    T* const to = product.to + (row + r) * product.to_row + column;
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; c++) to[c] += static_cast<T>(sum_lanes(widen_sum(sum[r][c])));
  }
}

template <class T, int kRows>
void multiply_together(const RowProduct<T>& product, int64_t row) {
  constexpr int kAtOnce = columns_at_once<kRows>();
  int64_t column = 0;
  for (; column + kAtOnce <= product.columns; column += kAtOnce)
    multiply_block<T, kRows, kAtOnce>(product, row, column);
  for (; column < product.columns; column++) multiply_block<T, kRows, 1>(product, row, column);
}

}  // namespace

template <class T>
void multiply_rows(const RowProduct<T>& product) {
  // Rows that are taken together: all of a few, else as many as the registers hold sums for.
  constexpr int kTogether = kManyRegisters ? 6 : 4;
  int64_t row = 0;
  for (; row + kTogether <= product.rows; row += kTogether) multiply_together<T, kTogether>(product, row);
  switch (product.rows - row) {
    case 5:
      return multiply_together<T, 5>(product, row);
    case 4:
      return multiply_together<T, 4>(product, row);
    case 3:
      return multiply_together<T, 3>(product, row);
    case 2:
      return multiply_together<T, 2>(product, row);
    case 1:
      return multiply_together<T, 1>(product, row);
    default:
      return;
  }
}

template void multiply_rows(const RowProduct<float>&);
template void multiply_rows(const RowProduct<double>&);

}  // namespace warpdice::cpu::WARPDICE_TARGET
