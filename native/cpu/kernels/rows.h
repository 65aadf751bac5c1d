#pragma once
// Converts dtypes: reads a row of one step's voxels from any dtype into float or double, and writes it back.
#include <type_traits>

#include "cpu/kernels/simd.h"
#include "math/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

constexpr int kUnroll = 8;  // vectors per step and class: hides the latency of exp, makes the sums a tree
/// Voxels of a step.
template <class T>
constexpr int kStep = kUnroll * Simd<T>::lanes;

template <class Storage>
constexpr bool kHalf = std::is_same_v<Storage, Float16> || std::is_same_v<Storage, BFloat16>;

// Conversions of one row of kStep<T>. Plain loops where the compiler turns them into vector code by itself.

template <class T>
WARPDICE_INLINE void widen(const T* from, T* row) {
  memcpy(row, from, kStep<T> * sizeof(T));
}

template <class T, class Storage>
WARPDICE_INLINE void widen(const Storage* from, T* row) {
  for (int i = 0; i < kStep<T>; i++) row[i] = static_cast<T>(from[i]);
}

// A vector of floats from as many halves.

/// The compiler's own conversion widens the two sides of a wide vector separately.
WARPDICE_INLINE Vec<float> unpack(const BFloat16* from) {
  typedef typename Alike<float, uint32_t>::V Bits;
#if defined(__AVX512F__)
  const Bits words = (Bits)_mm512_cvtepu16_epi32(load<__m256i>(from));
#elif defined(__AVX2__)
  const Bits words = (Bits)_mm256_cvtepu16_epi32(load<__m128i>(from));
#else
  const Bits words = __builtin_convertvector(load<typename Alike<float, uint16_t>::V>(from), Bits);
#endif
  return (Vec<float>)(words << 16);
}

WARPDICE_INLINE Vec<float> unpack(const Float16* from) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_cvtph_ps(load<__m256i>(from));
#elif defined(__F16C__)
  return (Vec<float>)_mm256_cvtph_ps(load<__m128i>(from));
#else
  typedef typename Alike<float, uint16_t>::V Halves;
  typedef typename Alike<float, uint32_t>::V Bits;
  const Bits h = __builtin_convertvector(load<Halves>(from), Bits), magnitude = h & 0x7fff;
  const Bits scaled = (Bits)((Vec<float>)(magnitude << 13) * 0x1p112f);  // rebiases, denormals too
  return (Vec<float>)(scaled | ((Bits)(magnitude >= 0x7c00) & 0x7f800000) | (h & 0x8000) << 16);
#endif
}

/// A vector of labels as integers of the width of T.
template <class T>
WARPDICE_INLINE Mask<T> widen_labels(const int32_t* labels) {
  return __builtin_convertvector(load<typename Alike<T, int32_t>::V>(labels), Mask<T>);
}

/// The compiler's own conversion of bytes takes a dozen instructions.
template <class T>
WARPDICE_INLINE Mask<T> widen_labels(const uint8_t* labels) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return (Mask<T>)_mm512_cvtepu8_epi32(load<__m128i>(labels));
  else return (Mask<T>)_mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(labels)));
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Mask<T>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(labels)));
  } else {
    return (Mask<T>)_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(load<int32_t>(labels)));
  }
#else
  return __builtin_convertvector(load<typename Alike<T, uint8_t>::V>(labels), Mask<T>);
#endif
}

template <class Half>
WARPDICE_INLINE void widen_halves(const Half* from, float* row) {
  constexpr int kLanes = Simd<float>::lanes;
  for (int i = 0; i < kStep<float>; i += kLanes) store(row + i, unpack(from + i));
}
WARPDICE_INLINE void widen(const Float16* from, float* row) { widen_halves(from, row); }
WARPDICE_INLINE void widen(const BFloat16* from, float* row) { widen_halves(from, row); }

/// Half-precision targets or weights with float64 predictions are read through a row of floats.
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

// Two vectors of floats to one of halves: to nearest, ties to even; NaN stays NaN.

WARPDICE_INLINE HalfWords pack(Vec<float> a, Vec<float> b, BFloat16*) {
  typedef typename Alike<float, uint32_t>::V Bits;
  const auto rounded = [](Vec<float> v) {
    const Bits bits = (Bits)v;
    return (Mask<float>)(bits + 0x7fff + (bits >> 16 & 1)) | (v != v);  // all bits set are NaN too
  };
  return high_words(rounded(a), rounded(b));
}

WARPDICE_INLINE HalfWords pack(Vec<float> a, Vec<float> b, Float16*) {
#if defined(__AVX512F__)
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  const __m512i low = _mm512_castsi256_si512(_mm512_cvtps_ph((__m512)a, kNearest));
  return (HalfWords)_mm512_inserti64x4(low, _mm512_cvtps_ph((__m512)b, kNearest), 1);
#elif defined(__F16C__)
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return (HalfWords)_mm256_set_m128i(_mm256_cvtps_ph((__m256)b, kNearest), _mm256_cvtps_ph((__m256)a, kNearest));
#else
  typedef typename Alike<float, uint32_t>::V Bits;
  const auto half = [](Vec<float> v) {  // in the high words
    const Bits bits = (Bits)v, magnitude = bits & 0x7fffffff;
    const Bits normal = (magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13;
    const Bits subnormal = (Bits)((Vec<float>)magnitude + 0.5f) - 0x3f000000;  // 0.5 has a unit of 2^-24
    const Bits infinite = Bits{} + 0x7c00, nan = Bits{} + 0x7e00;
    const Bits special = magnitude > 0x7f800000 ? nan : infinite;
    const Bits finite = magnitude < 0x38800000 ? subnormal : normal;
    return (Mask<float>)((magnitude >= 0x47800000 ? special : finite) << 16 | (bits & 0x80000000));
  };
  return high_words(half(a), half(b));
#endif
}

/// kStream: around the caches; `to` is aligned to the vector.
template <bool kStream, class Half>
WARPDICE_INLINE void narrow_halves(const float* row, Half* to) {
  constexpr int kLanes = Simd<float>::lanes;
  for (int i = 0; i < kStep<float>; i += 2 * kLanes) {
    const HalfWords halves = pack(load<Vec<float>>(row + i), load<Vec<float>>(row + i + kLanes), to);
    if constexpr (kStream) stream(to + i, halves);
    else store(to + i, halves);
  }
}
WARPDICE_INLINE void narrow(const float* row, BFloat16* to) { narrow_halves<false>(row, to); }
WARPDICE_INLINE void narrow(const float* row, Float16* to) { narrow_halves<false>(row, to); }

/// The gradient of half-precision targets with float64 predictions is written through a row of floats.
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

/// How a row is written.
enum class StoreMode {
  replace,
  accumulate,  // add to what is there
  stream,      // write around the caches: rows that need no conversion, and whole rows of halves
};

/// The first `count` elements of a row.
template <class T, class Storage>
WARPDICE_INLINE void store_row(Storage* to, int count, const T* row, StoreMode mode) {
  T sum[kStep<T>];
  if (mode == StoreMode::accumulate) {
    load_row(to, count, sum);
    for (int i = 0; i < kStep<T>; i++) sum[i] += row[i];
    row = sum;
  }
  if constexpr (kHalf<Storage> && sizeof(T) == 4) {
    if (mode == StoreMode::stream && count == kStep<T>) return narrow_halves<true>(row, to);
  }
  if (count == kStep<T>) return narrow(row, to);
  Storage padded[kStep<T>];
  narrow(row, padded);
  memcpy(to, padded, count * sizeof(Storage));
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
