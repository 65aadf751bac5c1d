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

template <class T>
using Unsigned = typename Alike<T, uint32_t>::V;
template <class T>
using Unsigned16 = typename Alike<T, uint16_t>::V;

/// One vector of Vec<T>'s lanes from any storage.
template <class T, class Storage>
WARPDICE_INLINE Vec<T> load_as(const Storage* from) {
  return __builtin_convertvector(load<typename Alike<T, Storage>::V>(from), Vec<T>);
}

template <>
WARPDICE_INLINE Vec<float> load_as<float, float>(const float* from) {
  return load<Vec<float>>(from);
}
template <>
WARPDICE_INLINE Vec<double> load_as<double, double>(const double* from) {
  return load<Vec<double>>(from);
}

template <class V>
WARPDICE_INLINE V splat_int(uint32_t x) {
  return V{} + x;
}

WARPDICE_INLINE Vec<float> widen_half(Unsigned16<float> half) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_cvtph_ps((__m256i)half);
#elif defined(__F16C__)
  return (Vec<float>)_mm256_cvtph_ps((__m128i)half);
#else
  const auto h = __builtin_convertvector(half, Unsigned<float>);
  const auto magnitude = h & 0x7fff;
  const Vec<float> scaled = (Vec<float>)(magnitude << 13) * 0x1p112f;  // rebiases the exponent, denormals too
  const auto special = (Unsigned<float>)(magnitude >= 0x7c00) & 0x7f800000;
  return (Vec<float>)((Unsigned<float>)scaled | special | (h & 0x8000) << 16);
#endif
}

WARPDICE_INLINE Unsigned16<float> narrow_half(Vec<float> v) {
#if defined(__AVX512F__)
  return (Unsigned16<float>)_mm512_cvtps_ph((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(__F16C__)
  return (Unsigned16<float>)_mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const Unsigned<float> bits = (Unsigned<float>)v;
  const Unsigned<float> magnitude = bits & 0x7fffffff;
  const Unsigned<float> normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  const Unsigned<float> subnormal = (Unsigned<float>)((Vec<float>)magnitude + 0.5f) - 0x3f000000;
  const Unsigned<float> special = magnitude > 0x7f800000 ? splat_int<Unsigned<float>>(0x7e00) : splat_int<Unsigned<float>>(0x7c00);
  const Unsigned<float> h =
      magnitude >= 0x47800000 ? special : (magnitude < 0x38800000 ? subnormal : normal);
  return __builtin_convertvector(h | (bits >> 16 & 0x8000), Unsigned16<float>);
#endif
}

template <>
WARPDICE_INLINE Vec<float> load_as<float, Float16>(const Float16* from) {
  return widen_half(load<Unsigned16<float>>(from));
}
template <>
WARPDICE_INLINE Vec<float> load_as<float, BFloat16>(const BFloat16* from) {
  return (Vec<float>)(__builtin_convertvector(load<Unsigned16<float>>(from), Unsigned<float>) << 16);
}

/// Half-precision targets or weights beside float64 predictions: rare, so through a float row.
template <class Half>
WARPDICE_INLINE Vec<double> load_half_as_double(const Half* from) {
  Half padded[Simd<float>::lanes] = {};
  memcpy(padded, from, Simd<double>::lanes * sizeof(Half));
  float row[Simd<float>::lanes];
  store(row, load_as<float>(padded));
  return load_as<double>(row);
}
template <>
WARPDICE_INLINE Vec<double> load_as<double, Float16>(const Float16* from) {
  return load_half_as_double(from);
}
template <>
WARPDICE_INLINE Vec<double> load_as<double, BFloat16>(const BFloat16* from) {
  return load_half_as_double(from);
}

WARPDICE_INLINE void store_as(float* to, Vec<float> v) { store(to, v); }
WARPDICE_INLINE void store_as(double* to, Vec<double> v) { store(to, v); }
WARPDICE_INLINE void store_as(Float16* to, Vec<float> v) { store(to, narrow_half(v)); }
WARPDICE_INLINE void store_as(BFloat16* to, Vec<float> v) {
  const Unsigned<float> bits = (Unsigned<float>)v;
  const Unsigned<float> rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Unsigned<float> nan = bits >> 16 | 0x40;
  store(to, __builtin_convertvector((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded, Unsigned16<float>));
}

/// `count` <= kStep<T> elements into a full row; the rest of the row is 0.
template <class T, class Storage>
WARPDICE_INLINE void load_row(const Storage* from, int count, T* row) {
  Storage padded[kStep<T>];
  if (count < kStep<T>) {
    memset(padded, 0, sizeof padded);
    memcpy(padded, from, count * sizeof(Storage));
    from = padded;
  }
  for (int u = 0; u < kUnroll; u++) {
    store(row + u * Simd<T>::lanes, load_as<T>(from + u * Simd<T>::lanes));
  }
}

/// The first `count` elements of a row.
template <class T, class Storage>
WARPDICE_INLINE void store_row(Storage* to, int count, const T* row, bool accumulate) {
  Storage padded[kStep<T>];
  Storage* full = count < kStep<T> ? padded : to;
  if (accumulate && full == padded) {
    memset(padded, 0, sizeof padded);
    memcpy(padded, to, count * sizeof(Storage));
  }
  for (int u = 0; u < kUnroll; u++) {
    const int at = u * Simd<T>::lanes;
    Vec<T> v = load<Vec<T>>(row + at);
    if (accumulate) v += load_as<T>(full + at);
    store_as(full + at, v);
  }
  if (full == padded) memcpy(to, padded, count * sizeof(Storage));
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
