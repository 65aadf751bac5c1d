#pragma once
// From the dtypes of a call to C++ types.
#include "cpu/kernels/convert.h"
#include "math/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// Calls visit(Storage*) with the type of a float dtype or uint8.
template <class Visit>
WARPDICE_INLINE void with_storage(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::float32:
      return visit(static_cast<float*>(nullptr));
    case DType::float64:
      return visit(static_cast<double*>(nullptr));
    case DType::float16:
      return visit(static_cast<Float16*>(nullptr));
    case DType::bfloat16:
      return visit(static_cast<BFloat16*>(nullptr));
    case DType::uint8:
      return visit(static_cast<uint8_t*>(nullptr));
    case DType::int32:
    case DType::int64:
      return;  // never an operand of step 1 or 3 but as labels
  }
}

/// Calls visit(Label*) with the type of a label dtype.
template <class Visit>
WARPDICE_INLINE void with_label(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::int32:
      return visit(static_cast<int32_t*>(nullptr));
    case DType::int64:
      return visit(static_cast<int64_t*>(nullptr));
    default:
      return visit(static_cast<uint8_t*>(nullptr));
  }
}

/// What a pointer points at.
template <class Pointer>
struct Pointee;
template <class Value>
struct Pointee<Value*> {
  using type = Value;
};

/// The unsigned integer of a size.
template <int kBytes>
struct Unsigned;
template <>
struct Unsigned<1> {
  typedef uint8_t type;
};
template <>
struct Unsigned<4> {
  typedef uint32_t type;
};
template <>
struct Unsigned<8> {
  typedef uint64_t type;
};

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::float32 : DType::float64;

}  // namespace warpdice::cpu::WARPDICE_TARGET
