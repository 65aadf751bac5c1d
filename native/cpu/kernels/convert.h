#pragma once
// Dtypes and layouts at the edge: rows of a step are read from any storage into float or double, and
// written back. A step is kStep<T> voxels; a staged step is [C][kStep<T>].
#include "cpu/kernels/simd.h"

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
template <class Storage>
constexpr bool kHalf = false;
template <>
constexpr bool kHalf<Float16> = true;
template <>
constexpr bool kHalf<BFloat16> = true;

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

/// The compiler's own conversion widens the two sides of a wide vector apart.
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

/// How a row is written.
enum class Write {
  replace,
  accumulate,  // add to what is there
  stream,      // around the caches: what needs no conversion, and whole rows of halves
};

/// The first `count` elements of a row.
template <class T, class Storage>
WARPDICE_INLINE void store_row(Storage* to, int count, const T* row, Write how) {
  T sum[kStep<T>];
  if (how == Write::accumulate) {
    load_row(to, count, sum);
    for (int i = 0; i < kStep<T>; i++) sum[i] += row[i];
    row = sum;
  }
  if constexpr (kHalf<Storage> && sizeof(T) == 4) {
    if (how == Write::stream && count == kStep<T>) return narrow_halves<true>(row, to);
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

template <class T>
using Four __attribute__((vector_size(4 * sizeof(T)))) = T;

/// Four elements of a (0 to 3) and b (4 to 7). Clang has only the one builtin, GCC before 12 only the other.
template <class T, int i, int j, int k, int l>
WARPDICE_INLINE Four<T> pick(Four<T> a, Four<T> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, i, j, k, l);
#else
  return __builtin_shuffle(a, b, Four<typename Simd<T>::Int>{i, j, k, l});
#endif
}

/// to[c][r] = from[r][c] for `rows` by `columns`; the strides are elements from row to row.
template <class T>
void transpose(int64_t rows, int64_t columns, const T* __restrict from, int64_t from_stride, T* __restrict to,
               int64_t to_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const T* f = from + r * from_stride + c;
      T* t = to + c * to_stride + r;
      const auto row = [&](int i) { return load<Four<T>>(f + i * from_stride); };
      const Four<T> a = row(0), b = row(1), d = row(2), e = row(3);
      const Four<T> ab = pick<T, 0, 4, 1, 5>(a, b), AB = pick<T, 2, 6, 3, 7>(a, b);
      const Four<T> de = pick<T, 0, 4, 1, 5>(d, e), DE = pick<T, 2, 6, 3, 7>(d, e);
      store(t, pick<T, 0, 1, 4, 5>(ab, de));
      store(t + to_stride, pick<T, 2, 3, 6, 7>(ab, de));
      store(t + 2 * to_stride, pick<T, 0, 1, 4, 5>(AB, DE));
      store(t + 3 * to_stride, pick<T, 2, 3, 6, 7>(AB, DE));
    }
    for (; c < columns; c++) {
      for (int i = 0; i < 4; i++) to[c * to_stride + r + i] = from[(r + i) * from_stride + c];
    }
  }
  for (; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

/// from: [count][C]; staged: [C][kStep<T>], class c at c * stride, whose rest is set to 0. kClasses: C, or 0 for any.
template <class T, int kClasses>
void deinterleave(int64_t classes, int count, const T* __restrict from, T* __restrict staged, int64_t stride) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) staged[c * stride + j] = from[j * kClasses + c];
    }
    return;
  }
  for (int64_t c = 0; c < classes && count < kStep<T>; c++) memset(staged + c * stride, 0, kStep<T> * sizeof(T));
  transpose(count, classes, from, classes, staged, stride);
}

/// The reverse.
template <class T, int kClasses>
void interleave(int64_t classes, int count, const T* __restrict staged, int64_t stride, T* __restrict to) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) to[j * kClasses + c] = staged[c * stride + j];
    }
    return;
  }
  transpose(classes, count, staged, stride, to, classes);
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

/// A whole array [N,C,S] or [N,S,C] by blocks of steps: `count` voxels from (n, s), all classes.
template <class T>
struct Stager {
  int64_t classes, voxels;
  bool channels_last;
  T* scratch;                 // [C][kStep<T>]
  int64_t stride = kStep<T>;  // elements from class to class of what is staged: a multiple of kStep<T> or more

  int64_t offset(int64_t n, int64_t s) const {
    return channels_last ? (n * voxels + s) * classes : n * classes * voxels + s;
  }

  /// staged: [C][whole steps], the rest of the last step 0.
  template <class Storage>
  void load(const Storage* array, int64_t n, int64_t s, int count, T* staged) const {
    const Storage* from = array + offset(n, s);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) {
        for_steps(count, [&](int at, int filled) {
          const Storage* row = from + c * voxels + at;
          prefetch(row + count, filled);
          load_row<T>(row, filled, staged + c * stride + at);
        });
      }
      return;
    }
    for_steps(count, [&](int at, int filled) {
      prefetch(from + (at + count) * classes, filled * classes);
      load_step(from + at * classes, filled, staged + at);
    });
  }

  template <class Storage>
  void store(Storage* array, int64_t n, int64_t s, int count, const T* staged, Write how) const {
    Storage* to = array + offset(n, s);
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) {
        if (kSame<T, Storage> && how == Write::stream) {
          stream_bytes(to + c * voxels, staged + c * stride, count * sizeof(T));
          continue;
        }
        for_steps(count,
                  [&](int at, int filled) { store_row(to + c * voxels + at, filled, staged + c * stride + at, how); });
      }
      return;
    }
    for_steps(count, [&](int at, int filled) { store_step(to + at * classes, filled, staged + at, how); });
  }

 private:
  /// Visits a block step by step; only the last may be partial.
  template <class Visit>
  static WARPDICE_INLINE void for_steps(int count, Visit visit) {
    for (int at = 0; at < count; at += kStep<T>) visit(at, count - at < kStep<T> ? count - at : kStep<T>);
  }

  /// Asks for the next block's elements while this one's are worked on.
  template <class Storage>
  static WARPDICE_INLINE void prefetch(const Storage* from, int64_t count) {
    constexpr int64_t kLine = 64 / sizeof(Storage);
    for (int64_t at = 0; at < count; at += kLine) __builtin_prefetch(from + at);
  }

  /// One step of interleaved classes.
  template <class Storage>
  void load_step(const Storage* from, int count, T* staged) const {
    const T* converted = scratch;
    if constexpr (kSame<T, Storage>) converted = from;
    else for_rows(count, [&](int64_t at, int filled) { load_row<T>(from + at, filled, scratch + at); });
    with_few_classes(classes, [&](auto constant) {
      deinterleave<T, decltype(constant)::value>(classes, count, converted, staged, stride);
    });
  }

  template <class Storage>
  void store_step(Storage* to, int count, const T* staged, Write how) const {
    T* converted = scratch;
    if constexpr (kSame<T, Storage>) converted = how == Write::replace ? to : scratch;
    with_few_classes(classes, [&](auto constant) {
      interleave<T, decltype(constant)::value>(classes, count, staged, stride, converted);
    });
    if (converted != scratch) return;
    if constexpr (kSame<T, Storage> || (kHalf<Storage> && sizeof(T) == 4)) {
      if (how == Write::stream) return stream_step(to, count);
    }
    for_rows(count, [&](int64_t at, int filled) { store_row(to + at, filled, scratch + at, how); });
  }

  /// What is interleaved in scratch, around the caches wherever in a line it begins.
  template <class Storage>
  void stream_step(Storage* to, int count) const {
    if constexpr (kSame<T, Storage>) return stream_bytes(to, scratch, count * classes * sizeof(T));
    for_rows(count, [&](int64_t at, int filled) {
      Storage row[kStep<T>];
      narrow(scratch + at, row);
      stream_bytes(to + at, row, filled * sizeof(Storage));
    });
  }

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
