#pragma once
// The seam between C++ and JavaScript: typed arrays as memory; errors.h has the errors.
#include <napi.h>

#include <initializer_list>
#include <string>

#include "node/errors.h"

namespace warpdice {

/// The type of memory on a device, which holds elements of any kind.
constexpr int kAnyType = -1;

/// The memory of a typed array, as it is at this moment. Never kept: JavaScript can move or detach it.
struct Memory {
  void* data = nullptr;
  size_t size_bytes = 0;
  bool shared = false;  // on a SharedArrayBuffer, which can neither move nor be detached
  int type = kAnyType;  // a napi_typedarray_type, as the engine says; properties of an object could say anything
};

inline size_t element_bytes(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 2;  // Float16Array, which our Node-API does not name
  }
}

inline Memory memory_of(Napi::Env env, napi_value array, const char* name) {
  bool is_typed = false;
  napi_is_typedarray(env, array, &is_typed);
  if (!is_typed) throw Napi::TypeError::New(env, std::string("Expected a typed array for ") + name);
  napi_typedarray_type type =
      napi_uint16_array;  // as wide as Float16Array, for which early Node 24 leaves it unwritten
  size_t length = 0;
  Memory memory;
  napi_value buffer;
  if (napi_get_typedarray_info(env, array, &type, &length, &memory.data, &buffer, nullptr) != napi_ok) {
    throw Napi::TypeError::New(env, std::string("Expected a readable typed array for ") + name);
  }
  memory.size_bytes = length * element_bytes(type);
  memory.type = type;
  bool is_plain = true;
  napi_is_arraybuffer(env, buffer, &is_plain);
  memory.shared = !is_plain;
  return memory;
}

/// The product of sizes, in bytes. Throws when it does not fit, or for a size below 1.
inline size_t bytes_of(Napi::Env env, std::initializer_list<int64_t> sizes, size_t element_bytes) {
  int64_t total = static_cast<int64_t>(element_bytes);
  for (const int64_t size : sizes) {
    if (size < 1 || __builtin_mul_overflow(total, size, &total)) {
      throw Napi::RangeError::New(env, "Expected sizes from 1 whose product fits in 63 bits");
    }
  }
  return static_cast<size_t>(total);
}

}  // namespace warpdice
