#include "cpu/memory/read_values.h"

#include <cstring>

namespace warpdice::cpu {
namespace {

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

double to_double(BFloat16 x) { return from_bits(static_cast<uint32_t>(x.bits) << 16); }

/// Moves exponent and mantissa to their places; the product corrects the exponent, and normalizes subnormal numbers.
double to_double(Float16 x) {
  const uint32_t sign = (x.bits & 0x8000u) << 16, rest = x.bits & 0x7fffu;
  if (rest >= 0x7c00u) return from_bits(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  return from_bits(sign | rest << 13) * static_cast<double>(from_bits(0x77800000u));  // 2^112
}

template <class T>
double to_double(T x) {
  return static_cast<double>(x);
}

template <class T>
void read(const void* data, int64_t first, int64_t stride, int64_t count, double* to) {
  const T* from = static_cast<const T*>(data) + first;
  for (int64_t i = 0; i < count; i++) to[i] = to_double(from[i * stride]);
}

}  // namespace

void read_values(const Operand& from, int64_t first, int64_t stride, int64_t count, double* to) {
  switch (from.dtype) {
    case DType::float32:
      return read<float>(from.data, first, stride, count, to);
    case DType::float64:
      return read<double>(from.data, first, stride, count, to);
    case DType::float16:
      return read<Float16>(from.data, first, stride, count, to);
    case DType::bfloat16:
      return read<BFloat16>(from.data, first, stride, count, to);
    case DType::uint8:
      return read<uint8_t>(from.data, first, stride, count, to);
    case DType::int32:
      return read<int32_t>(from.data, first, stride, count, to);
    case DType::int64:
      return read<int64_t>(from.data, first, stride, count, to);
    case DType::int16:
      return read<int16_t>(from.data, first, stride, count, to);
    case DType::uint16:
      return read<uint16_t>(from.data, first, stride, count, to);
  }
}

}  // namespace warpdice::cpu
