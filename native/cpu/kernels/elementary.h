#pragma once
// Exponentials and logarithms of vectors.
#include "cpu/kernels/simd.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Vectors whose exponentials are computed side by side, to hide the latency of the polynomial. Measured on a Zen 5: of
/// 1, 2, 4 and 8 this was the best on a call, 3 to 7% off with softmax; 8 costs more than 1.
constexpr int kSideBySide = kVectorBytes >= 32 ? 2 : 4;

// e^x of floats is 2^n * e^f. n is x / ln 2 rounded to a multiple of 1/kParts, and f = x - n*ln 2 is at most
// ln(2)/(2*kParts) in magnitude. Wide vectors take 2^(fraction of n) from a table in a register, so the polynomial for
// e^f can be short: an exponential takes a fifth less time.

constexpr int kParts = kVectorBytes >= 32 ? Simd<float>::lanes : 1;
constexpr float kMagic = 0x1.8p23f / kParts;  // added, it rounds to 1/kParts and leaves n*kParts in the low bits
constexpr uint32_t kToExponent = (1 << 23) / kParts;  // times n*kParts: what n adds to a float's bits

/// 2^n. A table has the bits of 2^n for n = 0, 1/kParts, ..., minus those that the fraction of n adds below.
WARPDICE_INLINE Vec<float> power_of_two(Vec<float> rounded) {
  typedef Alike<float, uint32_t>::V Bits;
#if defined(__AVX512F__)
  const Bits table = {0x3f800000, 0x3f85aac3, 0x3f8b95c2, 0x3f91c3d3, 0x3f9837f0, 0x3f9ef532, 0x3fa5fed7, 0x3fad583f,
                      0x3fb504f3, 0x3fbd08a4, 0x3fc5672a, 0x3fce248c, 0x3fd744fd, 0x3fe0ccdf, 0x3feac0c7, 0x3ff5257d};
  const Bits step = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Bits found = (Bits)_mm512_permutexvar_epi32((__m512i)rounded, (__m512i)(table - step * kToExponent));
#elif defined(__AVX2__)
  const Bits table = {0x3f800000, 0x3f8b95c2, 0x3f9837f0, 0x3fa5fed7, 0x3fb504f3, 0x3fc5672a, 0x3fd744fd, 0x3feac0c7};
  const Bits step = {0, 1, 2, 3, 4, 5, 6, 7};
  const Bits found = (Bits)_mm256_permutevar8x32_epi32((__m256i)(table - step * kToExponent), (__m256i)rounded);
#else
  const Bits found = Bits{} + 0x3f800000;
#endif
  return (Vec<float>)(found + (Bits)rounded * kToExponent);
}

/// Replaces x by e^x where that is a normal number, and keeps NaN. rounded: n + kMagic.
template <int kCount>
WARPDICE_INLINE void exp_normal(Vec<float> (&x)[kCount], Vec<float> (&rounded)[kCount]) {
  Vec<float> p[kCount], power[kCount];
  for (int u = 0; u < kCount; u++) rounded[u] = x[u] * 0x1.715476p+0f + kMagic;
  for (int u = 0; u < kCount; u++) {
    const Vec<float> n = rounded[u] - kMagic;
#if defined(__FMA__) || defined(__aarch64__)
    x[u] = x[u] - n * 0x1.62e43p-1f;  // fused: only ln 2 itself is rounded
#else
    x[u] = (x[u] - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
#endif
    power[u] = power_of_two(rounded[u]);
  }
  // (e^f - 1) / f, minimax: relative errors of e^f of 3e-9 with one part, 3e-8 with eight, 2e-9 with sixteen.
#if defined(__AVX2__)
  constexpr float kCoefficients[] = {1.0f / 6, kParts == 8 ? 0.5000648f : 0.5000162f, 1.0f};
#else
  constexpr float kCoefficients[] = {0x1.6a23cep-10f, 0x1.123a2p-7f,  0x1.5558f2p-5f,
                                     0x1.555492p-3f,  0x1.fffffcp-2f, 1.0f};
#endif
  constexpr int kTerms = sizeof kCoefficients / sizeof(float);
  for (int u = 0; u < kCount; u++) p[u] = splat<float>(kCoefficients[0]);
  for (int i = 1; i < kTerms; i++) {
    for (int u = 0; u < kCount; u++) p[u] = p[u] * x[u] + kCoefficients[i];
  }
  for (int u = 0; u < kCount; u++) x[u] = (power[u] * x[u]) * p[u] + power[u];
}

/// e^x for x <= 0, within 1.5e-7 of itself for x > -16 and 4e-7 below; 1 for 0; NaN for NaN. Past the smallest normal
/// number, at x = -87.3, it is soon 0: from -87.7 on at the latest.
template <int kCount>
WARPDICE_INLINE void exp_nonpositive(Vec<float> (&x)[kCount]) {
  Vec<float> rounded[kCount];
  exp_normal(x, rounded);
  const Vec<float> zero = {};
  for (int u = 0; u < kCount; u++) x[u] = rounded[u] < kMagic - 126 ? zero : x[u];
}

/// e^x for |x| <= 64, within 4e-7 of itself and 1.5e-7 up to 16.
template <int kCount>
WARPDICE_INLINE void exp_moderate(Vec<float> (&x)[kCount]) {
  Vec<float> rounded[kCount];
  exp_normal(x, rounded);
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

/// log(1 + x) for x from 0 to 1, without losing the digits of a small x.
template <class T>
WARPDICE_INLINE Vec<T> log_one_plus(Vec<T> x) {
  return log_of_ratio < T, sizeof(T) == 4 ? 7 : 16 > (x / (x + static_cast<T>(2)));
}

/// (1 + a)(1 + b) - 1 for a, b >= 0, without losing the digits of small a and b.
template <class T>
WARPDICE_INLINE Vec<T> excess_of_product(Vec<T> a, Vec<T> b) {
  return a + b + a * b;
}

/// The same for eight numbers.
template <class T>
WARPDICE_INLINE Vec<T> excess_of_product(const Vec<T> (&x)[8]) {
  Vec<T> pair[4];
  for (int i = 0; i < 4; i++) pair[i] = excess_of_product<T>(x[2 * i], x[2 * i + 1]);
  return excess_of_product<T>(excess_of_product<T>(pair[0], pair[1]), excess_of_product<T>(pair[2], pair[3]));
}

/// log(1 + x) for x from 0 to 2^126, without losing the digits of a small x. Below 1 + x = 2 the rounding error of 1 +
/// x is added back; above, it is smaller than the rounding error of the logarithm.
template <class T>
WARPDICE_INLINE Vec<T> log_of_excess(Vec<T> x) {
  const Vec<T> sum = x + static_cast<T>(1), lost = x - (sum - static_cast<T>(1)), zero = {};
  return log_positive(sum) + (sum < static_cast<T>(2) ? lost : zero);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
