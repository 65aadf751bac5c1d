#pragma once
// Checks the arrays of a call for memory safety: each is large enough and has a fitting dtype, and no written array
// overlaps another one. lib/ checks the meaning of arguments.
#include "node/codes.h"
#include "node/napi_util.h"

namespace warpdice {

/// The memory of an argument's array, on the host or on a device.
using MemoryOf = Memory (*)(Napi::Env env, napi_value array, const char* name);

struct Array {
  Memory memory;          // data is null when absent
  size_t used_bytes = 0;  // what the call reads or writes
};

/// The array of an argument, of at least so many bytes.
inline Array bind_array(Napi::Env env, napi_value value, const char* name, size_t used_bytes, MemoryOf memory) {
  const Memory found = memory(env, value, name);
  if (found.data && found.size_bytes >= used_bytes) return {found, used_bytes};
  throw Napi::RangeError::New(env, std::string("Expected at least ") + std::to_string(used_bytes) + " bytes for " +
                                       name + " but received " + std::to_string(found.size_bytes));
}

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
  return (in.labels ? is_label(target) : is_float_or_uint8(target)) && is_float_or_uint8(in.weight.dtype);
}

}  // namespace warpdice
