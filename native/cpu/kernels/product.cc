// Products of small matrices: a block of the result stays in registers while its terms are added.
#include "cpu/kernels/product.h"

#include "cpu/kernels/dispatch.h"
#include "cpu/kernels/layout.h"
#include "cpu/kernels/row_product.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

// A block is so many rows by so many vectors: with the vectors of b and one of a it fills the registers, 32 of them or
// 16.
constexpr int64_t kRowsTogether = 6;
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif

/// Rows whose sums are kept in the first cache instead. With AVX-512 a block takes 256 bytes of a row of b at a time,
/// which is as good: sums of six rows in the cache took 6% longer.
constexpr int64_t kFewRows = kVectorBytes == 64 ? 2 : 8;

template <class T, int kRows, int kColumns>
void multiply_block(const Product<T>& product, int64_t row, int64_t column) {
  constexpr int kLanes = Simd<T>::lanes;
  Vec<T> sum[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; c++) sum[r][c] = product.start ? splat<T>(product.start[row + r]) : Vec<T>{};
  }
  const T* a = product.a + row * product.a_row;
  const T* b = product.b + column;
  const int64_t a_row = product.a_row, a_inner = product.a_inner, b_inner = product.b_inner;
  for (int64_t i = product.inner; i > 0; i--, a += a_inner, b += b_inner) {
    Vec<T> terms[kColumns];
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; c++) terms[c] = load<Vec<T>>(b + c * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const T factor = a[r * a_row];
#pragma GCC unroll 8
      for (int c = 0; c < kColumns; c++) sum[r][c] += factor * terms[c];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    T* to = product.to + (row + r) * product.to_row + column;
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; c++) {
      if (product.adds) sum[r][c] += load<Vec<T>>(to + c * kLanes);
      if (product.streams) stream(to + c * kLanes, sum[r][c]);
      else store(to + c * kLanes, sum[r][c]);
    }
  }
}

template <class T, int kColumns>
void multiply_columns(const Product<T>& product, int64_t column) {
  int64_t row = 0;
  for (; row + kRowsTogether <= product.rows; row += kRowsTogether) {
    multiply_block<T, kRowsTogether, kColumns>(product, row, column);
  }
  switch (product.rows - row) {
    case 5:
      return multiply_block<T, 5, kColumns>(product, row, column);
    case 4:
      return multiply_block<T, 4, kColumns>(product, row, column);
    case 3:
      return multiply_block<T, 3, kColumns>(product, row, column);
    case 2:
      return multiply_block<T, 2, kColumns>(product, row, column);
    case 1:
      return multiply_block<T, 1, kColumns>(product, row, column);
    default:
      return;
  }
}

/// Columns [column, end).
template <class T>
void multiply_range(const Product<T>& product, int64_t column, int64_t end) {
  constexpr int64_t kLanes = Simd<T>::lanes;
  for (; column + (kVectors - 1) * kLanes < end; column += kVectors * kLanes) {
    multiply_columns<T, kVectors>(product, column);
  }
  if (kVectors > 2 && column + kLanes < end) {
    multiply_columns<T, 2>(product, column);
    column += 2 * kLanes;
  }
  if (column < end) multiply_columns<T, 1>(product, column);
}

/// Writes a row around the caches, in whole lines. The part of a line at its end waits for the next columns, or goes
/// the usual way.
template <class T>
void stream_row(const Product<T>& product, int64_t row) {
  constexpr int64_t kLineBytes = 64, kLine = kLineBytes / sizeof(T), kLanes = Simd<T>::lanes;
  constexpr int kAtOnce = 8, kLineVectors = kLineBytes / kVectorBytes;
  T* const to = product.to + row * product.to_row;
  const auto make = [&](int64_t column, int64_t count, T* at) {
    T made[kLine] = {};
    if (product.adds) memcpy(made, to + column, count * sizeof(T));
    Product<T> part = product;
    if (product.start) part.start += row;
    part.a += row * product.a_row;
    part.b += column;
    part.to = made;
    part.streams = false;
    multiply_block<T, 1, kLineVectors>(part, 0, 0);
    memcpy(at, made, count * sizeof(T));
  };
  T own[kLine] = {};
  T* const line = product.waiting ? product.waiting + row * kLine : own;
  int64_t column = 0;
  const auto before = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % kLineBytes / sizeof(T));
  if (before > 0) {
    column = kLine - before < product.columns ? kLine - before : product.columns;
    make(0, column, line + before);
    const bool others_wait = product.waiting && !product.begins;
    const int64_t first = others_wait ? 0 : before, end = before + column;
    if (first == 0 && end == kLine) {
      for (int64_t at = 0; at < kLine; at += kLanes) stream(to - before + at, load<Vec<T>>(line + at));
    } else {
      memcpy(to - before + first, line + first, (end - first) * sizeof(T));
    }
  }
  for (; column + kAtOnce * kLanes <= product.columns; column += kAtOnce * kLanes) {
    multiply_block<T, 1, kAtOnce>(product, row, column);
  }
  for (; column + kLine <= product.columns; column += kLine) multiply_block<T, 1, kLineVectors>(product, row, column);
  if (column < product.columns) {
    const int64_t rest = product.columns - column;
    make(column, rest, line);
    if (!product.waiting || product.ends) memcpy(to + column, line, rest * sizeof(T));
  }
}

/// Adds the terms of kTerms rows of b, from row i on, to what `to` holds.
template <class T, int kRows, int kTerms, bool kCopies>
void add_terms(const Product<T>& product, int64_t i) {
  Vec<T> factors[kRows][kTerms];
  const T* b[kTerms];
  T *copy[kTerms] = {}, *to[kRows];
#pragma GCC unroll 8
  for (int t = 0; t < kTerms; t++) {
    b[t] = product.b + (i + t) * product.b_inner;
    if (kCopies) copy[t] = product.copy + (i + t) * product.copy_row;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
    to[r] = product.to + r * product.to_row;
#pragma GCC unroll 8
    for (int t = 0; t < kTerms; t++) factors[r][t] = splat<T>(product.a[r * product.a_row + (i + t) * product.a_inner]);
  }
  const int64_t columns = product.columns;
  for (int64_t column = 0; column < columns; column += Simd<T>::lanes) {
    Vec<T> terms[kTerms];
#pragma GCC unroll 8
    for (int t = 0; t < kTerms; t++) {
      terms[t] = load<Vec<T>>(b[t] + column);
      if (kCopies) store(copy[t] + column, terms[t]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      Vec<T> sum = load<Vec<T>>(to[r] + column);
#pragma GCC unroll 8
      for (int t = 0; t < kTerms; t++) sum += factors[r][t] * terms[t];
      store(to[r] + column, sum);
    }
  }
}

/// For few rows, whose sums stay in the first cache: rows of b are read along all columns, a few at a time.
template <class T, int kRows>
void multiply_few_rows(const Product<T>& product) {
  for (int64_t r = 0; r < kRows; r++) {
    const Vec<T> start = product.start ? splat<T>(product.start[r]) : Vec<T>{};
    for (int64_t column = 0; column < product.columns; column += Simd<T>::lanes) {
      store(product.to + r * product.to_row + column, start);
    }
  }
  with_flag(product.copy, [&](auto copies) {
    constexpr bool kCopies = decltype(copies)::value;
    int64_t i = 0;
    for (; i + 8 <= product.inner; i += 8) add_terms<T, kRows, 8, kCopies>(product, i);
    if (i + 4 <= product.inner) {
      add_terms<T, kRows, 4, kCopies>(product, i);
      i += 4;
    }
    for (; i < product.inner; i++) add_terms<T, kRows, 1, kCopies>(product, i);
  });
}

/// A few cache lines of each row of b are copied, then multiplied: there and back in the first cache.
template <class T>
void copy_and_multiply(const Product<T>& product) {
  constexpr int64_t kAtOnce = 256 / sizeof(T), kLanes = Simd<T>::lanes;
  Product<T> copied = product;
  copied.b = product.copy;
  copied.b_inner = product.copy_row;
  for (int64_t column = 0; column < product.columns; column += kAtOnce) {
    const int64_t end = column + kAtOnce < product.columns ? column + kAtOnce : product.columns;
    for (int64_t i = 0; i < product.inner; i++) {
      const T* from = product.b + i * product.b_inner;
      T* to = product.copy + i * product.copy_row;
      for (int64_t at = column; at < end; at += kLanes) store(to + at, load<Vec<T>>(from + at));
    }
    multiply_range(copied, column, end);
  }
}

template <class T>
void multiply(const Product<T>& product) {
  if (product.streams && product.inner <= kFewTerms) {
    for (int64_t row = 0; row < product.rows; row++) stream_row(product, row);
    return;
  }
  const bool few = product.rows <= kFewRows && !product.adds && !product.streams;
  switch (few ? product.rows : 0) {
    case 1:
      return multiply_few_rows<T, 1>(product);
    case 2:
      return multiply_few_rows<T, 2>(product);
    case 3:
      return multiply_few_rows<T, 3>(product);
    case 4:
      return multiply_few_rows<T, 4>(product);
    case 5:
      return multiply_few_rows<T, 5>(product);
    case 6:
      return multiply_few_rows<T, 6>(product);
    case 7:
      return multiply_few_rows<T, 7>(product);
    case 8:
      return multiply_few_rows<T, 8>(product);
    default:
      break;
  }
  if (product.copy) copy_and_multiply(product);
  else multiply_range(product, 0, product.columns);
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
  const StoreMode mode = to.accumulate ? StoreMode::accumulate : to.streaming ? StoreMode::stream : StoreMode::replace;
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

void fence() { stream_fence(); }

template <class T>
constexpr Products<T> table() noexcept {
  constexpr int64_t kReadOnce = kVectorBytes == 64 ? kRowsTogether : kFewRows;
  return {kVectors * kVectorBytes, kReadOnce,   kStep<T>, multiply<T>, multiply_rows<T>, load_rows<T>,
          store_rows<T>,           add_rows<T>, fence};
}

}  // namespace

extern const Products<float> products;
const Products<float> products = table<float>();
extern const Products<double> products64;
const Products<double> products64 = table<double>();

}  // namespace warpdice::cpu::WARPDICE_TARGET
