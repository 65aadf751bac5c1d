#pragma once
// Dtypes and layouts at the edge: rows of a step are read from any storage into float or double, and
// written back. A step is kStep<T> voxels; a staged step is [C][kStep<T>].
#include "simd.h"

namespace warpdice::cpu::WARPDICE_TARGET {

constexpr int kUnroll = 8;  // vectors per step and class: hides the latency of exp, makes the sums a tree
template <class T>
constexpr int kStep = kUnroll * Simd<T>::lanes;

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

// Conversions of one row of kStep<T>. Plain loops where the compiler turns them into vector code by itself.

template <class T>
WARPDICE_INLINE void widen(const T* from, T* row) {
  memcpy(row, from, kStep<T> * sizeof(T));
}

template <class T, class Storage>
WARPDICE_INLINE void widen(const Storage* from, T* row) {
  for (int i = 0; i < kStep<T>; i++) row[i] = static_cast<T>(from[i]);
}

WARPDICE_INLINE void widen(const BFloat16* from, float* row) {
  typedef typename Alike<float, uint16_t>::V Halves;
  typedef typename Alike<float, uint32_t>::V Bits;
  for (int i = 0; i < kStep<float>; i += Simd<float>::lanes) {
    store(row + i, __builtin_convertvector(load<Halves>(from + i), Bits) << 16);
  }
}

WARPDICE_INLINE void widen(const Float16* from, float* row) {
#if defined(__AVX512F__)
  for (int i = 0; i < kStep<float>; i += 16) store(row + i, _mm512_cvtph_ps(load<__m256i>(from + i)));
#elif defined(__F16C__)
  for (int i = 0; i < kStep<float>; i += 8) store(row + i, _mm256_cvtph_ps(load<__m128i>(from + i)));
#else
  typedef typename Alike<float, uint32_t>::V Bits;
  uint32_t bits[kStep<float>];
  for (int i = 0; i < kStep<float>; i++) bits[i] = from[i].bits;
  for (int i = 0; i < kStep<float>; i += Simd<float>::lanes) {
    const Bits h = load<Bits>(bits + i), magnitude = h & 0x7fff;
    const Bits scaled = (Bits)((Vec<float>)(magnitude << 13) * 0x1p112f);  // rebiases, denormals too
    store(row + i, scaled | ((Bits)(magnitude >= 0x7c00) & 0x7f800000) | (h & 0x8000) << 16);
  }
#endif
}

/// Half-precision targets or weights beside float64 predictions: through a float row.
template <class Half>
WARPDICE_INLINE void widen_twice(const Half* from, double* row) {
  Half padded[kStep<float>];
  memcpy(padded, from, kStep<double> * sizeof(Half));
  memset(padded + kStep<double>, 0, sizeof padded - kStep<double> * sizeof(Half));
  float floats[kStep<float>];
  widen(padded, floats);
  for (int i = 0; i < kStep<double>; i++) row[i] = floats[i];
}
WARPDICE_INLINE void widen(const Float16* from, double* row) { widen_twice(from, row); }
WARPDICE_INLINE void widen(const BFloat16* from, double* row) { widen_twice(from, row); }

template <class T>
WARPDICE_INLINE void narrow(const T* row, T* to) {
  memcpy(to, row, kStep<T> * sizeof(T));
}

/// Between float and double.
template <class T, class Storage>
WARPDICE_INLINE void narrow(const T* row, Storage* to) {
  for (int i = 0; i < kStep<T>; i++) to[i] = static_cast<Storage>(row[i]);
}

/// To nearest, ties to even; NaN stays NaN.
WARPDICE_INLINE void narrow(const float* row, BFloat16* to) {
  typedef typename Alike<float, uint16_t>::V Halves;
  typedef typename Alike<float, uint32_t>::V Bits;
  for (int i = 0; i < kStep<float>; i += Simd<float>::lanes) {
    const Bits bits = load<Bits>(row + i), rounded = bits + 0x7fff + (bits >> 16 & 1), nan = bits | 0x400000;
    store(to + i, __builtin_convertvector(((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded) >> 16, Halves));
  }
}

/// To nearest, ties to even; NaN stays NaN.
WARPDICE_INLINE void narrow(const float* row, Float16* to) {
#if defined(__AVX512F__)
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  for (int i = 0; i < kStep<float>; i += 16) store(to + i, _mm512_cvtps_ph(load<__m512>(row + i), kNearest));
#elif defined(__F16C__)
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  for (int i = 0; i < kStep<float>; i += 8) store(to + i, _mm256_cvtps_ph(load<__m256>(row + i), kNearest));
#else
  typedef typename Alike<float, uint32_t>::V Bits;
  uint32_t half[kStep<float>];
  for (int i = 0; i < kStep<float>; i += Simd<float>::lanes) {
    const Bits bits = load<Bits>(row + i), magnitude = bits & 0x7fffffff;
    const Bits normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    const Bits subnormal = (Bits)((Vec<float>)magnitude + 0.5f) - 0x3f000000;  // 0.5 has a unit of 2^-24
    const Bits infinite = Bits{} + 0x7c00, nan = Bits{} + 0x7e00;
    const Bits special = magnitude > 0x7f800000 ? nan : infinite;
    const Bits finite = magnitude < 0x38800000 ? subnormal : normal;
    store(half + i, (magnitude >= 0x47800000 ? special : finite) | (bits >> 16 & 0x8000));
  }
  for (int i = 0; i < kStep<float>; i++) to[i].bits = static_cast<uint16_t>(half[i]);
#endif
}

/// The gradient of half-precision targets beside float64 predictions: through a float row.
template <class Half>
WARPDICE_INLINE void narrow_twice(const double* row, Half* to) {
  float floats[kStep<float>] = {};
  for (int i = 0; i < kStep<double>; i++) floats[i] = static_cast<float>(row[i]);
  Half halves[kStep<float>];
  narrow(floats, halves);
  memcpy(to, halves, kStep<double> * sizeof(Half));
}
WARPDICE_INLINE void narrow(const double* row, Float16* to) { narrow_twice(row, to); }
WARPDICE_INLINE void narrow(const double* row, BFloat16* to) { narrow_twice(row, to); }

/// `count` <= kStep<T> elements into a full row; the rest of the row is 0.
template <class T, class Storage>
WARPDICE_INLINE void load_row(const Storage* from, int count, T* row) {
  if (count == kStep<T>) return widen(from, row);
  Storage padded[kStep<T>];
  memset(padded, 0, sizeof padded);
  memcpy(padded, from, count * sizeof(Storage));
  widen(padded, row);
}

/// The first `count` elements of a row.
template <class T, class Storage>
WARPDICE_INLINE void store_row(Storage* to, int count, const T* row, bool accumulate) {
  T sum[kStep<T>];
  if (accumulate) {
    load_row(to, count, sum);
    for (int i = 0; i < kStep<T>; i++) sum[i] += row[i];
    row = sum;
  }
  if (count == kStep<T>) return narrow(row, to);
  Storage padded[kStep<T>];
  narrow(row, padded);
  memcpy(to, padded, count * sizeof(Storage));
}

// --- layouts ------------------------------------------------------------------------------------------
//
// Channels last, a step is [voxel][C] in memory; the passes want [C][voxel]. With a constant number of
// classes and of voxels the compiler makes shuffles of plain loops; else 4 x 4 tiles are transposed.

/// to[c][r] = from[r][c] for `rows` by `columns`; the strides are elements from row to row.
template <class T>
void transpose(int64_t rows, int64_t columns, const T* __restrict from, int64_t from_stride, T* __restrict to,
               int64_t to_stride) {
  typedef T Four __attribute__((vector_size(4 * sizeof(T))));
  typedef typename Simd<T>::Int Index __attribute__((vector_size(4 * sizeof(T))));
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const T* f = from + r * from_stride + c;
      T* t = to + c * to_stride + r;
      const Four a = load<Four>(f), b = load<Four>(f + from_stride), d = load<Four>(f + 2 * from_stride),
                 e = load<Four>(f + 3 * from_stride);
      const Four ab = __builtin_shuffle(a, b, Index{0, 4, 1, 5}), AB = __builtin_shuffle(a, b, Index{2, 6, 3, 7});
      const Four de = __builtin_shuffle(d, e, Index{0, 4, 1, 5}), DE = __builtin_shuffle(d, e, Index{2, 6, 3, 7});
      store(t, __builtin_shuffle(ab, de, Index{0, 1, 4, 5}));
      store(t + to_stride, __builtin_shuffle(ab, de, Index{2, 3, 6, 7}));
      store(t + 2 * to_stride, __builtin_shuffle(AB, DE, Index{0, 1, 4, 5}));
      store(t + 3 * to_stride, __builtin_shuffle(AB, DE, Index{2, 3, 6, 7}));
    }
    for (; c < columns; c++) {
      for (int i = 0; i < 4; i++) to[c * to_stride + r + i] = from[(r + i) * from_stride + c];
    }
  }
  for (; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

/// from: [count][C]; staged: [C][kStep<T>], whose rest is set to 0. kClasses: C, or 0 for any.
template <class T, int kClasses>
void deinterleave(int64_t classes, int count, const T* __restrict from, T* __restrict staged) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) staged[c * kStep<T> + j] = from[j * kClasses + c];
    }
    return;
  }
  if (count < kStep<T>) memset(staged, 0, classes * kStep<T> * sizeof(T));
  transpose(count, classes, from, classes, staged, kStep<T>);
}

/// The reverse.
template <class T, int kClasses>
void interleave(int64_t classes, int count, const T* __restrict staged, T* __restrict to) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) to[j * kClasses + c] = staged[c * kStep<T> + j];
    }
    return;
  }
  transpose(classes, count, staged, kStep<T>, to, classes);
}

template <int kValue>
struct Constant {
  static constexpr int value = kValue;
};

/// Calls visit with the number of classes as a constant where that pays, else with 0.
template <class Visit>
WARPDICE_INLINE void with_few_classes(int64_t classes, Visit visit) {
  switch (classes) {
    case 2:
      return visit(Constant<2>{});
    case 3:
      return visit(Constant<3>{});
    case 4:
      return visit(Constant<4>{});
    case 8:
      return visit(Constant<8>{});
    default:
      return visit(Constant<0>{});
  }
}

template <class A, class B>
constexpr bool kSame = false;
template <class A>
constexpr bool kSame<A, A> = true;

/// A whole array [N,C,S] or [N,S,C] by steps: `count` <= kStep<T> voxels from (n, s), all classes.
template <class T>
struct Stager {
  int64_t classes, voxels;
  bool channels_last;
  T* scratch;  // [C][kStep<T>]

  int64_t offset(int64_t n, int64_t s) const {
    return channels_last ? (n * voxels + s) * classes : n * classes * voxels + s;
  }

  /// staged: [C][kStep<T>]
  template <class Storage>
  void load(const Storage* array, int64_t n, int64_t s, int count, T* staged) const {
    const Storage* from = array + offset(n, s);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) load_row<T>(from + c * voxels, count, staged + c * kStep<T>);
      return;
    }
    const T* converted = scratch;
    if constexpr (kSame<T, Storage>) converted = from;
    else for_rows(count, [&](int64_t at, int filled) { load_row<T>(from + at, filled, scratch + at); });
    with_few_classes(
        classes, [&](auto constant) { deinterleave<T, decltype(constant)::value>(classes, count, converted, staged); });
  }

  template <class Storage>
  void store(Storage* array, int64_t n, int64_t s, int count, const T* staged, bool accumulate) const {
    Storage* to = array + offset(n, s);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) store_row(to + c * voxels, count, staged + c * kStep<T>, accumulate);
      return;
    }
    T* converted = scratch;
    if constexpr (kSame<T, Storage>) converted = accumulate ? scratch : to;
    with_few_classes(
        classes, [&](auto constant) { interleave<T, decltype(constant)::value>(classes, count, staged, converted); });
    if (converted != scratch) return;
    for_rows(count, [&](int64_t at, int filled) { store_row(to + at, filled, scratch + at, accumulate); });
  }

 private:
  /// Visits the elements of a step of `count` voxels by rows.
  template <class Visit>
  WARPDICE_INLINE void for_rows(int count, Visit visit) const {
    const int64_t total = count * classes;
    for (int64_t at = 0; at < total; at += kStep<T>) {
      visit(at, total - at < kStep<T> ? static_cast<int>(total - at) : kStep<T>);
    }
  }
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
