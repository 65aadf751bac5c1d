#pragma once
// Dtypes and layouts at the edge: rows of a step are read from any storage into float or double, and
// written back. A step is kStep<T> voxels; a staged step is [C][kStep<T>].
#include "simd.h"

namespace warpdice::cpu::WARPDICE_TARGET {

constexpr int kUnroll = 4;  // vectors per step and class: hides the latency of exp, makes the sums a tree
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
  uint32_t bits[kStep<float>];
  for (int i = 0; i < kStep<float>; i++) bits[i] = static_cast<uint32_t>(from[i].bits) << 16;
  memcpy(row, bits, sizeof bits);
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

/// To nearest, ties to even; NaN stays NaN.
WARPDICE_INLINE void narrow(const float* row, BFloat16* to) {
  uint32_t bits[kStep<float>];
  memcpy(bits, row, sizeof bits);
  for (int i = 0; i < kStep<float>; i++) {
    const uint32_t rounded = (bits[i] + 0x7fff + (bits[i] >> 16 & 1)) >> 16, nan = bits[i] >> 16 | 0x40;
    to[i].bits = static_cast<uint16_t>((bits[i] & 0x7fffffff) > 0x7f800000 ? nan : rounded);
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

/// A whole array [N,C,S] or [N,S,C] by steps. Loads and stores are `count` voxels from (n, s), all classes.
template <class T>
struct Stager {
  int64_t classes, voxels;

  int64_t offset(int64_t n, int64_t s, bool channels_last) const {
    return channels_last ? (n * voxels + s) * classes : n * classes * voxels + s;
  }

  /// staged: [C][kStep<T>]
  template <class Storage>
  void load(const Storage* array, bool channels_last, int64_t n, int64_t s, int count, T* staged) const {
    const Storage* from = array + offset(n, s, channels_last);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) load_row<T>(from + c * voxels, count, staged + c * kStep<T>);
      return;
    }
    // Rows of the transposed step, a row's worth of [s][c] at a time.
    const int64_t total = count * classes;
    for (int64_t first = 0; first < total; first += kStep<T>) {
      T row[kStep<T>];
      const int filled = total - first < kStep<T> ? static_cast<int>(total - first) : kStep<T>;
      load_row<T>(from + first, filled, row);
      int64_t j = first / classes, c = first % classes;
      for (int i = 0; i < filled; i++) {
        staged[c * kStep<T> + j] = row[i];
        if (++c == classes) c = 0, j++;
      }
    }
    for (int64_t c = 0; c < classes && count < kStep<T>; c++) {
      for (int j = count; j < kStep<T>; j++) staged[c * kStep<T> + j] = 0;
    }
  }

  template <class Storage>
  void store(Storage* array, bool channels_last, int64_t n, int64_t s, int count, const T* staged,
             bool accumulate) const {
    Storage* to = array + offset(n, s, channels_last);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) store_row(to + c * voxels, count, staged + c * kStep<T>, accumulate);
      return;
    }
    const int64_t total = count * classes;
    for (int64_t first = 0; first < total; first += kStep<T>) {
      T row[kStep<T>] = {};
      const int filled = total - first < kStep<T> ? static_cast<int>(total - first) : kStep<T>;
      int64_t j = first / classes, c = first % classes;
      for (int i = 0; i < filled; i++) {
        row[i] = staged[c * kStep<T> + j];
        if (++c == classes) c = 0, j++;
      }
      store_row(to + first, filled, row, accumulate);
    }
  }
};

}  // namespace warpdice::cpu::WARPDICE_TARGET
