#pragma once
// Device memory of one dtype. It is exactly as large as its content, so that AddressSanitizer sees the first byte
// beyond.
#include <cstring>
#include <memory>

#include "cuda/engine.h"
#include "simt.h"

struct Buffer {
  warpdice::DType dtype;
  size_t count;
  size_t skipped_bytes;  // before the first element: for misaligned arrays
  std::unique_ptr<char[]> bytes;

  Buffer(warpdice::DType type, size_t elements, size_t skipped_elements = 0)
      : dtype(type),
        count(elements),
        skipped_bytes(skipped_elements * warpdice::size_of(type)),
        bytes(new char[elements * warpdice::size_of(type) + skipped_bytes]) {
    std::memset(data(), 0xff, elements * warpdice::size_of(type));
  }

  char* data() const { return bytes.get() + skipped_bytes; }
  double* doubles() const { return reinterpret_cast<double*>(data()); }
  warpdice::Operand operand() const { return {data(), dtype}; }

  void set(size_t i, double x) {
    using warpdice::DType;
    switch (dtype) {
      case DType::float32:
        return put(i, static_cast<float>(x));
      case DType::float64:
        return put(i, x);
      case DType::float16:
        return put(i, simt::float_to_half(static_cast<float>(x)));
      case DType::bfloat16:
        return put(i, simt::float_to_bfloat16(static_cast<float>(x)));
      case DType::uint8:
        return put(i, static_cast<uint8_t>(x));
      case DType::int32:
        return put(i, static_cast<int32_t>(x));
      case DType::int64:
        return put(i, static_cast<int64_t>(x));
      case DType::int16:
        return put(i, static_cast<int16_t>(x));
      case DType::uint16:
        return put(i, static_cast<uint16_t>(x));
    }
  }

  double get(size_t i) const {
    using warpdice::DType;
    switch (dtype) {
      case DType::float32:
        return at<float>(i);
      case DType::float64:
        return at<double>(i);
      case DType::float16:
        return simt::half_to_float(at<uint16_t>(i));
      case DType::bfloat16:
        return simt::bfloat16_to_float(at<uint16_t>(i));
      case DType::uint8:
        return at<uint8_t>(i);
      case DType::int32:
        return at<int32_t>(i);
      case DType::int64:
        return static_cast<double>(at<int64_t>(i));
      case DType::int16:
        return at<int16_t>(i);
      case DType::uint16:
        return at<uint16_t>(i);
    }
    return 0;
  }

 private:
  template <class T>
  T at(size_t i) const {
    T x;
    std::memcpy(&x, data() + i * sizeof(T), sizeof(T));
    return x;
  }
  template <class T>
  void put(size_t i, T x) {
    std::memcpy(data() + i * sizeof(T), &x, sizeof(T));
  }
};
