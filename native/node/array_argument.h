#pragma once
// Checks the arrays of a call for memory safety: each is large enough, aligned and of a fitting type, and no written
// array overlaps another one. lib/ checks the meaning of arguments.
#include "node/codes.h"
#include "node/napi_util.h"

namespace warpdice {

/// The memory of an argument's array, on the host or on a device.
using MemoryOf = Memory (*)(Napi::Env env, napi_value array, const char* name);

struct Array {
  Memory memory;          // data is null when absent
  size_t used_bytes = 0;  // what the call reads or writes
};

/// Whether arrays of the type hold elements of the dtype.
inline bool holds(int type, DType dtype) {
  switch (dtype) {
    case DType::float32:
      return type == napi_float32_array;
    case DType::float64:
      return type == napi_float64_array;
    case DType::float16:
      return type == napi_uint16_array || type > napi_biguint64_array;  // a Float16Array has a newer number
    case DType::bfloat16:
    case DType::uint16:
      return type == napi_uint16_array;
    case DType::uint8:
      return type == napi_uint8_array || type == napi_uint8_clamped_array;
    case DType::int32:
      return type == napi_int32_array;
    case DType::int64:
      return type == napi_bigint64_array;
    case DType::int16:
      return type == napi_int16_array;
  }
  return false;
}

/// The array of an argument, of at least so many bytes and aligned to its elements.
inline Array bind_bytes(Napi::Env env, napi_value value, const char* name, size_t element_bytes, size_t used_bytes,
                        MemoryOf memory) {
  const Memory found = memory(env, value, name);
  if (!found.data || found.size_bytes < used_bytes) {
    throw Napi::RangeError::New(env, std::string("Expected at least ") + std::to_string(used_bytes) + " bytes for " +
                                         name + " but received " + std::to_string(found.size_bytes));
  }
  if (reinterpret_cast<uintptr_t>(found.data) % element_bytes != 0) {
    throw Napi::RangeError::New(
        env, std::string("Expected memory for ") + name + " that begins at a multiple of its element size");
  }
  return {found, used_bytes};
}

/// The same, of elements of the dtype.
inline Array bind_array(Napi::Env env, napi_value value, const char* name, DType dtype, size_t used_bytes,
                        MemoryOf memory) {
  const Array array = bind_bytes(env, value, name, size_of(dtype), used_bytes, memory);
  if (array.memory.type == kAnyType || holds(array.memory.type, dtype)) return array;
  throw Napi::TypeError::New(env, std::string("Expected an array of the given dtype for ") + name);
}

/// The product of a head's channels and classes is counted in an int.
constexpr int64_t kMaxHeadSize = 32768;

inline bool overlap(const Array& a, const Array& b) {
  if (a.used_bytes == 0 || b.used_bytes == 0) return false;
  const char *a0 = static_cast<const char*>(a.memory.data), *b0 = static_cast<const char*>(b.memory.data);
  return a0 < b0 + b.used_bytes && b0 < a0 + a.used_bytes;
}

inline bool is_float(DType dtype) { return dtype <= DType::bfloat16; }
inline bool is_label(DType dtype) { return dtype >= DType::uint8; }
inline bool is_float_or_uint8(DType dtype) { return is_float(dtype) || dtype == DType::uint8; }

/// Whether target and weight have allowed dtypes.
inline bool operands_fit(const Inputs& in) {
  const DType target = in.target.dtype;
  const bool weights = is_float_or_uint8(in.weight.dtype) && is_float_or_uint8(in.class_weight.dtype);
  return (in.labels ? is_label(target) : is_float_or_uint8(target)) && weights;
}

}  // namespace warpdice
