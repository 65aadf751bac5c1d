#pragma once
// Vectors of float and double on top of the compiler's vector types: one source for SSE2, AVX2, AVX-512
// and NEON. kernels.cc is compiled once per target, each time in a namespace of its own
// (WARPDICE_TARGET), so that no function built for a newer CPU can be linked into an older one's path.
// For the same reason nothing here uses the C++ library.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
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
WARPDICE_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return a > b ? a : b; }

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

/// Copies, around the caches what are whole lines of `to`.
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

/// After the last stream() of a thread, before others read what it wrote.
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
  a >>= 16, b >>= 16;  // with the sign: packing saturates, and these fit
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

/// Vectors whose exponentials are computed side by side, to hide the latency of the polynomial: 4 to 5% off a call on a
/// Zen 5, also with 16 registers, where 2 and 8 cost more than 1.
constexpr int kSideBySide = 4;

/// e^x = 2^n * e^f with |f| <= ln(2)/2: x becomes e^f, by a polynomial from its highest power on. Adding 1.5 *
/// 2^(mantissa bits) rounds to an integer and leaves it in the low bits: rounded is that plus n.
constexpr float kMagic = 0x1.8p23f;
template <int kTerms, int kCount>
WARPDICE_INLINE void exp_of_fraction(const float (&polynomial)[kTerms], Vec<float> (&x)[kCount],
                                     Vec<float> (&rounded)[kCount]) {
  Vec<float> p[kCount];
  for (int u = 0; u < kCount; u++) rounded[u] = x[u] * 0x1.715476p+0f + kMagic;
  for (int u = 0; u < kCount; u++) {
    const Vec<float> n = rounded[u] - kMagic;
#if defined(__FMA__) || defined(__aarch64__)
    x[u] = x[u] - n * 0x1.62e43p-1f;  // fused: only ln 2 itself is rounded
#else
    x[u] = (x[u] - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
#endif
  }
  for (int u = 0; u < kCount; u++) p[u] = splat<float>(polynomial[0]);
  for (int k = 1; k < kTerms; k++) {
    for (int u = 0; u < kCount; u++) p[u] = p[u] * x[u] + polynomial[k];
  }
  for (int u = 0; u < kCount; u++) x[u] = p[u];
}

/// e^x for x <= 0, within 1e-7 of itself for x > -16 and 4e-7 below; 0 from about -88 down; NaN for NaN.
/// n is at least -127, whose bits make 2^n 0; AVX-512 scales by n itself.
template <int kCount>
WARPDICE_INLINE void exp_nonpositive(Vec<float> (&x)[kCount]) {
  // Minimax on the interval: relative error 3e-9 before rounding.
  constexpr float kPolynomial[] = {
      0x1.6a23cep-10f, 0x1.123a2p-7f, 0x1.5558f2p-5f, 0x1.555492p-3f, 0x1.fffffcp-2f, 1.0f, 1.0f};
  Vec<float> rounded[kCount];
#if !defined(__AVX512F__)
  for (Vec<float>& v : x) v = max(splat<float>(-127 * 0x1.62e43p-1f), v);
#endif
  exp_of_fraction(kPolynomial, x, rounded);
  for (int u = 0; u < kCount; u++) {
#if defined(__AVX512F__)
    const __m512 n = (__m512)(rounded[u] - kMagic);
    const __mmask16 some = _mm512_cmp_ps_mask(n, _mm512_set1_ps(-127), _CMP_NLE_UQ);
    x[u] = (Vec<float>)_mm512_maskz_scalef_ps(some, (__m512)x[u], n);
#else
    x[u] = x[u] * (Vec<float>)(((Alike<float, uint32_t>::V)rounded[u] << 23) + 0x3f800000u);
#endif
  }
}

/// e^x for |x| <= 64, within 4e-7 of itself and 2e-7 up to 16: all that halves ask for. n is simply added to the
/// exponent.
template <int kCount>
WARPDICE_INLINE void exp_moderate(Vec<float> (&x)[kCount]) {
  // Minimax on the interval: relative error 1e-7 before rounding.
  constexpr float kPolynomial[] = {0x1.0fa82cp-7f, 0x1.573a56p-5f, 0x1.555a6ap-3f,
                                   0x1.fffdc6p-2f, 0x1.fffff6p-1f, 1.0f};
  typedef Alike<float, uint32_t>::V Bits;
  Vec<float> rounded[kCount];
  exp_of_fraction(kPolynomial, x, rounded);
  for (int u = 0; u < kCount; u++) x[u] = (Vec<float>)((Bits)x[u] + ((Bits)rounded[u] << 23));
}
WARPDICE_INLINE Vec<float> exp_nonpositive(Vec<float> x) {
  Vec<float> one[1] = {x};
  exp_nonpositive(one);
  return one[0];
}

WARPDICE_INLINE Vec<double> exp_nonpositive(Vec<double> x) {
  constexpr double kMagic = 0x1.8p52;
  constexpr double kLowest = -708.39;
  const auto tiny = x < kLowest;
  const Vec<double> rounded = x * 0x1.71547652b82fep+0 + kMagic;
  const Vec<double> n = rounded - kMagic;
  Vec<double> f = x - n * 0x1.62e42fee00000p-1;
  f = f - n * 0x1.a39ef35793c76p-33;
  Vec<double> p = splat<double>(1.0 / 6227020800.0);  // Taylor to f^13: remainder 4e-18
  p = p * f + 1.0 / 479001600.0;
  p = p * f + 1.0 / 39916800.0;
  p = p * f + 1.0 / 3628800.0;
  p = p * f + 1.0 / 362880.0;
  p = p * f + 1.0 / 40320.0;
  p = p * f + 1.0 / 5040.0;
  p = p * f + 1.0 / 720.0;
  p = p * f + 1.0 / 120.0;
  p = p * f + 1.0 / 24.0;
  p = p * f + 1.0 / 6.0;
  p = p * f + 0.5;
  p = p * f + 1.0;
  p = p * f + 1.0;
  const Vec<double> power = (Vec<double>)(((Alike<double, uint64_t>::V)rounded << 52) + 0x3ff0000000000000u);  // 2^n
  const Vec<double> zero = {};
  return tiny ? zero : p * power;
}
template <int kCount>
WARPDICE_INLINE void exp_nonpositive(Vec<double> (&x)[kCount]) {
  for (Vec<double>& v : x) v = exp_nonpositive(v);
}

/// log((1+s)/(1-s)) = 2(s + s^3/3 + s^5/5 + ...), to the power 2*kTerms + 1.
template <class T, int kTerms>
WARPDICE_INLINE Vec<T> log_of_ratio(Vec<T> s) {
  const Vec<T> square = s * s;
  Vec<T> sum = {};
  for (int n = kTerms; n > 0; n--) sum = sum * square + static_cast<T>(2.0 / (2 * n + 1));
  return s * static_cast<T>(2) + s * square * sum;
}

/// log x for normal x > 0: x = 2^n * m with m from sqrt(1/2) to sqrt(2), so that |s| < .172. NaN for NaN.
WARPDICE_INLINE Vec<float> log_positive(Vec<float> x) {
  constexpr int32_t kRootHalf = 0x3f3504f3;
  const Mask<float> n = (bits_of<float>(x) - kRootHalf) >> 23;
  const Vec<float> m = (Vec<float>)(bits_of<float>(x) - (n << 23));
  const Vec<float> log_m = log_of_ratio<float, 4>((m - 1.0f) / (m + 1.0f));
  return __builtin_convertvector(n, Vec<float>) * 0x1.62e43p-1f + log_m + (x - x);
}
WARPDICE_INLINE Vec<double> log_positive(Vec<double> x) {
  constexpr int64_t kRootHalf = 0x3fe6a09e667f3bcd;
  const Mask<double> n = (bits_of<double>(x) - kRootHalf) >> 52;
  const Vec<double> m = (Vec<double>)(bits_of<double>(x) - (n << 52));
  const Vec<double> log_m = log_of_ratio<double, 10>((m - 1.0) / (m + 1.0));
  const Vec<double> exponent = __builtin_convertvector(n, Vec<double>);
  return exponent * 0x1.62e42fee00000p-1 + (log_m + exponent * 0x1.a39ef35793c76p-33) + (x - x);
}

/// log(1 + x) for x from 0 to 1, with the digits of a small x.
template <class T>
WARPDICE_INLINE Vec<T> log_one_plus(Vec<T> x) {
  return log_of_ratio < T, sizeof(T) == 4 ? 7 : 16 > (x / (x + static_cast<T>(2)));
}

/// What (1 + a)(1 + b), for a and b from 0 on, exceeds 1 by, with the digits of small ones.
template <class T>
WARPDICE_INLINE Vec<T> excess_of_product(Vec<T> a, Vec<T> b) {
  return a + b + a * b;
}

/// The same of eight.
template <class T>
WARPDICE_INLINE Vec<T> excess_of_product(const Vec<T> (&x)[8]) {
  Vec<T> pair[4];
  for (int i = 0; i < 4; i++) pair[i] = excess_of_product<T>(x[2 * i], x[2 * i + 1]);
  return excess_of_product<T>(excess_of_product<T>(pair[0], pair[1]), excess_of_product<T>(pair[2], pair[3]));
}

/// log(1 + x) for x from 0 to 2^126, with the digits of a small x: what the rounding of 1 + x lost counts below 2;
/// above, it is less than the rounding of the logarithm.
template <class T>
WARPDICE_INLINE Vec<T> log_of_excess(Vec<T> x) {
  const Vec<T> sum = x + static_cast<T>(1), lost = x - (sum - static_cast<T>(1)), zero = {};
  return log_positive(sum) + (sum < static_cast<T>(2) ? lost : zero);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
