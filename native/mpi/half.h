#pragma once
// float16 and bfloat16 as float32 and back, rounded to nearest, ties to even.
#include <cstdint>
#include <cstring>

namespace warpdice::mpi {

inline uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float from_bfloat16(uint16_t half) { return float_of(uint32_t{half} << 16); }

inline uint16_t to_bfloat16(float value) {
  const uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float from_float16(uint16_t half) {
  const uint32_t sign = uint32_t{half} >> 15 << 31, magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return float_of(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
  // As a float of the same bits its exponent is 112 too small: the product is exact, for subnormals too.
  return float_of(sign | bits_of(float_of(magnitude << 13) * 0x1p112f));
}

inline uint16_t to_float16(float value) {
  const uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  const auto with_sign = [sign](uint32_t half) { return static_cast<uint16_t>(sign | half); };
  if (magnitude > 0x7f800000) return with_sign(0x7e00);   // NaN
  if (magnitude >= 0x477ff000) return with_sign(0x7c00);  // 65520 and more
  if (magnitude < 0x38800000) {
    // Below 2^-14: as a multiple of 2^-24, which the addition rounds to.
    return with_sign(bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f));
  }
  return with_sign((magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

}  // namespace warpdice::mpi
