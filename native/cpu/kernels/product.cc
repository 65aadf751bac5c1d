// Products of small matrices: a block of the result stays in registers while its terms are added.
#include "cpu/kernels/product.h"

#include "cpu/kernels/layout.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

// A block is 6 rows by so many vectors: with the vectors of b and one of a it fills the registers, 32 of them or 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif

template <class T, int kRows, int kColumns>
void multiply_block(const Product<T>& product, int64_t row, int64_t column) {
  constexpr int kLanes = Simd<T>::lanes;
  Vec<T> sum[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; c++) sum[r][c] = product.start ? splat<T>(product.start[row + r]) : Vec<T>{};
  }
  const T* a = product.a + row * product.a_row;
  const T* b = product.b + column;
  const int64_t a_row = product.a_row, a_inner = product.a_inner, b_inner = product.b_inner;
  for (int64_t i = product.inner; i > 0; i--, a += a_inner, b += b_inner) {
    Vec<T> terms[kColumns];
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; c++) terms[c] = load<Vec<T>>(b + c * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const T factor = a[r * a_row];
#pragma GCC unroll 4
      for (int c = 0; c < kColumns; c++) sum[r][c] += factor * terms[c];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    T* to = product.to + (row + r) * product.to_row + column;
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; c++) {
      if (product.adds) sum[r][c] += load<Vec<T>>(to + c * kLanes);
      store(to + c * kLanes, sum[r][c]);
    }
  }
}

template <class T, int kColumns>
void multiply_columns(const Product<T>& product, int64_t column) {
  int64_t row = 0;
  for (; row + 6 <= product.rows; row += 6) multiply_block<T, 6, kColumns>(product, row, column);
  if (row + 4 <= product.rows) {
    multiply_block<T, 4, kColumns>(product, row, column);
    row += 4;
  }
  if (row + 2 <= product.rows) {
    multiply_block<T, 2, kColumns>(product, row, column);
    row += 2;
  }
  if (row < product.rows) multiply_block<T, 1, kColumns>(product, row, column);
}

template <class T>
void multiply(const Product<T>& product) {
  constexpr int64_t kLanes = Simd<T>::lanes;
  int64_t column = 0;
  for (; column + (kVectors - 1) * kLanes < product.columns; column += kVectors * kLanes) {
    multiply_columns<T, kVectors>(product, column);
  }
  if (kVectors > 2 && column + kLanes < product.columns) {
    multiply_columns<T, 2>(product, column);
    column += 2 * kLanes;
  }
  if (column < product.columns) multiply_columns<T, 1>(product, column);
}

template <class T>
LayoutConverter<T> converter(const Rows& rows, T* scratch, int64_t stride) {
  return {rows.channels, rows.voxels, rows.channels_last, scratch, stride};
}

template <class T>
void load_rows(const Operand& from, const Rows& rows, const RowsAt& at, T* to, int64_t to_row, T* scratch) {
  converter(rows, scratch, to_row).load(from, at.n, at.s, at.count, to);
}

template <class T>
void store_rows(const GradientOut& to, const Rows& rows, const RowsAt& at, const T* from, int64_t from_row,
                T* scratch) {
  const StoreMode mode = to.accumulate ? StoreMode::accumulate : StoreMode::replace;
  converter(rows, scratch, from_row).store(to, at.n, at.s, at.count, from, mode);
}

/// Neighbouring elements are added in T, and their sums in double.
template <class T>
void add_rows(const T* from, int64_t rows, int64_t columns, int64_t from_row, double* to) {
  constexpr int kLanes = Simd<T>::lanes, kSums = 4;
  for (int64_t r = 0; r < rows; r++) {
    const T* row = from + r * from_row;
    Vec<double> total = {};
    int64_t c = 0;
    for (; c + kSums * kLanes <= columns; c += kSums * kLanes) {
      const auto at = [&](int i) { return load<Vec<T>>(row + c + i * kLanes); };
      total += widen_sum((at(0) + at(1)) + (at(2) + at(3)));
    }
    double sum = sum_lanes(total);
    for (; c < columns; c++) sum += row[c];
    to[r] += sum;
  }
}

}  // namespace

extern const Products<float> products;
const Products<float> products = {kStep<float>, multiply<float>, load_rows<float>, store_rows<float>, add_rows<float>};
extern const Products<double> products64;
const Products<double> products64 = {kStep<double>, multiply<double>, load_rows<double>, store_rows<double>,
                                     add_rows<double>};

}  // namespace warpdice::cpu::WARPDICE_TARGET
