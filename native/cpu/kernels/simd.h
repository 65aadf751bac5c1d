#pragma once
// Vectors of float and double on top of the compiler's vector types: one source for SSE2, AVX2, AVX-512
// and NEON. Each .cc file of this folder is compiled once per target, each time in a namespace of its own
// (WARPDICE_TARGET), so that no function built for a newer CPU can be linked into an older one's path.
// For the same reason nothing here uses the C++ library, except its type traits.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__x86_64__)
#include <emmintrin.h>  // SSE2; a tenth of the lines
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define WARPDICE_INLINE inline __attribute__((always_inline))

namespace warpdice::cpu::WARPDICE_TARGET {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
  static constexpr int lanes = kVectorBytes / 4;
  typedef float V __attribute__((vector_size(kVectorBytes)));
  typedef int32_t I __attribute__((vector_size(kVectorBytes)));  // also the mask: all bits set or none
  typedef int32_t Int;
};

template <>
struct Simd<double> {
  static constexpr int lanes = kVectorBytes / 8;
  typedef double V __attribute__((vector_size(kVectorBytes)));
  typedef int64_t I __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Int;
};

template <class T>
using Vec = typename Simd<T>::V;
template <class T>
using Mask = typename Simd<T>::I;

/// A vector type of other elements, as many as Vec<T> has lanes.
template <class T, class Element>
struct Alike {
  typedef Element V __attribute__((vector_size(Simd<T>::lanes * sizeof(Element))));
};

template <class V>
WARPDICE_INLINE V load(const void* from) {
  V v;
  memcpy(&v, from, sizeof v);
  return v;
}

template <class V>
WARPDICE_INLINE void store(void* to, V v) {
  memcpy(to, &v, sizeof v);
}

template <class T>
WARPDICE_INLINE Vec<T> splat(T x) {
  return Vec<T>{} + x;
}

template <class T>
WARPDICE_INLINE Mask<T> bits_of(Vec<T> v) {
  return (Mask<T>)v;
}

/// The larger; `b` where either is NaN.
WARPDICE_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
  return (Vec<float>)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
  return (Vec<float>)_mm_max_ps((__m128)a, (__m128)b);
#else
  return a > b ? a : b;
#endif
}
WARPDICE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
#if defined(__x86_64__) && !defined(__AVX2__)
  return (Vec<double>)_mm_max_pd((__m128d)a, (__m128d)b);
#else
  return a > b ? a : b;
#endif
}

WARPDICE_INLINE Vec<float> magnitude(Vec<float> v) { return (Vec<float>)((Mask<float>)v & INT32_MAX); }
WARPDICE_INLINE Vec<double> magnitude(Vec<double> v) { return (Vec<double>)((Mask<double>)v & INT64_MAX); }

/// -|v|
WARPDICE_INLINE Vec<float> minus_magnitude(Vec<float> v) { return (Vec<float>)((Mask<float>)v | INT32_MIN); }
WARPDICE_INLINE Vec<double> minus_magnitude(Vec<double> v) { return (Vec<double>)((Mask<double>)v | INT64_MIN); }

/// `v`, which is not negative, with the sign of `sign`.
WARPDICE_INLINE Vec<float> with_sign(Vec<float> v, Vec<float> sign) {
  return (Vec<float>)((Mask<float>)v | ((Mask<float>)sign & INT32_MIN));
}
WARPDICE_INLINE Vec<double> with_sign(Vec<double> v, Vec<double> sign) {
  return (Vec<double>)((Mask<double>)v | ((Mask<double>)sign & INT64_MIN));
}

/// Writes around the caches: for a result that nobody reads soon. `to` is aligned to the vector.
template <class V>
WARPDICE_INLINE void stream(void* to, V v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(static_cast<float*>(to), (__m512)v);
#elif defined(__AVX2__)
  _mm256_stream_ps(static_cast<float*>(to), (__m256)v);
#elif defined(__x86_64__)
  _mm_stream_ps(static_cast<float*>(to), (__m128)v);
#else
  store(to, v);
#endif
}

/// Copies; whole cache lines of `to` are written around the caches.
inline void stream_bytes(void* to, const void* from, size_t size_bytes) {
  constexpr size_t kLineBytes = 64;
  char* t = static_cast<char*>(to);
  const char* f = static_cast<const char*>(from);
  const size_t before_line = -reinterpret_cast<uintptr_t>(to) % kLineBytes;
  size_t at = before_line < size_bytes ? before_line : size_bytes;
  memcpy(t, f, at);
  for (; at + kLineBytes <= size_bytes; at += kLineBytes) {
    for (size_t i = at; i < at + kLineBytes; i += kVectorBytes) stream(t + i, load<Vec<float>>(f + i));
  }
  memcpy(t + at, f + at, size_bytes - at);
}

/// Call this after the last stream() of a thread, before other threads read the results.
WARPDICE_INLINE void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

/// The high 16 bits of the elements of two vectors, in order.
typedef uint16_t HalfWords __attribute__((vector_size(kVectorBytes)));
WARPDICE_INLINE HalfWords high_words(Mask<float> a, Mask<float> b) {
#if defined(__AVX512F__)
  HalfWords odd;
  for (int i = 0; i < 32; i++) odd[i] = static_cast<uint16_t>(2 * i + 1);  // of the 64 words of both
  return (HalfWords)_mm512_permutex2var_epi16((__m512i)a, (__m512i)odd, (__m512i)b);
#else
  a >>= 16;  // with the sign: packing saturates, and these fit
  b >>= 16;
#if defined(__AVX2__)
  return (HalfWords)_mm256_permute4x64_epi64(_mm256_packs_epi32((__m256i)a, (__m256i)b), _MM_SHUFFLE(3, 1, 2, 0));
#elif defined(__x86_64__)
  return (HalfWords)_mm_packs_epi32((__m128i)a, (__m128i)b);
#else
  return (HalfWords)vcombine_s16(vmovn_s32((int32x4_t)a), vmovn_s32((int32x4_t)b));
#endif
#endif
}

/// Whether a word is above a limit.
template <class Words>
WARPDICE_INLINE bool any_above(Words words, int16_t limit) {
#if defined(__AVX512F__)
  return _mm512_cmpgt_epi16_mask((__m512i)words, _mm512_set1_epi16(limit)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_epi8(_mm256_cmpgt_epi16((__m256i)words, _mm256_set1_epi16(limit))) != 0;
#else
  bool any = false;
  for (size_t i = 0; i < sizeof(Words) / sizeof(int16_t); i++) any |= words[i] > limit;
  return any;
#endif
}

/// Whether any lane of a mask is set.
template <class M>
WARPDICE_INLINE bool any(M mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_testz_si256((__m256i)mask, (__m256i)mask) == 0;
#elif defined(__x86_64__)
  return _mm_movemask_epi8((__m128i)mask) != 0;
#else
  return vmaxvq_u32((uint32x4_t)mask) != 0;
#endif
}

#if defined(__AVX512F__)

/// Which of as many bytes as Vec<T> has lanes are `byte`.
template <class T>
WARPDICE_INLINE auto equal_bytes(const uint8_t* from, char byte) {
  __m128i bytes = _mm_setzero_si128();
  memcpy(&bytes, from, Simd<T>::lanes);
  const __mmask16 equal = _mm_cmpeq_epi8_mask(bytes, _mm_set1_epi8(byte));
  if constexpr (sizeof(T) == sizeof(float)) return equal;
  else return static_cast<__mmask8>(equal);
}

/// `here` in the lanes of the mask, else `elsewhere`.
WARPDICE_INLINE Vec<float> blend(__mmask16 mask, Vec<float> here, Vec<float> elsewhere) {
  return (Vec<float>)_mm512_mask_blend_ps(mask, (__m512)elsewhere, (__m512)here);
}
WARPDICE_INLINE Vec<double> blend(__mmask8 mask, Vec<double> here, Vec<double> elsewhere) {
  return (Vec<double>)_mm512_mask_blend_pd(mask, (__m512d)elsewhere, (__m512d)here);
}

#endif

/// Adds neighbouring halves of a float vector as doubles: half as many lanes, nothing lost.
WARPDICE_INLINE Vec<double> widen_sum(Vec<float> v) {
#if defined(__AVX512F__)
  return (Vec<double>)(_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v)) +
                       _mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1)));
#elif defined(__AVX2__)
  return (Vec<double>)(_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)v)) +
                       _mm256_cvtps_pd(_mm256_extractf128_ps((__m256)v, 1)));
#else
  return Vec<double>{static_cast<double>(v[0]) + v[2], static_cast<double>(v[1]) + v[3]};
#endif
}
WARPDICE_INLINE Vec<double> widen_sum(Vec<double> v) { return v; }

/// Sum of the lanes, in lane order.
WARPDICE_INLINE double sum_lanes(Vec<double> v) {
  double sum = 0;
  for (int i = 0; i < Simd<double>::lanes; i++) sum += v[i];
  return sum;
}

/// Sum of the bytes of a vector.
template <class Bytes>
WARPDICE_INLINE int sum_bytes(Bytes v) {
#if defined(__AVX512F__)
  return static_cast<int>(_mm512_reduce_add_epi64(_mm512_sad_epu8((__m512i)v, _mm512_setzero_si512())));
#elif defined(__AVX2__)
  const __m256i sums = _mm256_sad_epu8((__m256i)v, _mm256_setzero_si256());
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return _mm_cvtsi128_si32(half) + _mm_extract_epi16(half, 4);
#elif defined(__x86_64__)
  const __m128i sums = _mm_sad_epu8((__m128i)v, _mm_setzero_si128());
  return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4);
#else
  return vaddlvq_u8((uint8x16_t)v);
#endif
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
