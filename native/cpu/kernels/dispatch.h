#pragma once
// Turns dtypes and options of a call into C++ types: each function calls `visit` with a value of the right type.
#include "cpu/kernels/rows.h"
#include "math/types.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// visit(Flag<flag>). Without kPossible the flag is false.
template <bool kPossible = true, class Visit>
WARPDICE_INLINE void with_flag(bool flag, Visit visit) {
  if constexpr (kPossible) {
    if (flag) return visit(Flag<true>{});
  }
  visit(Flag<false>{});
}

/// visit(Number<C>) for numbers of classes for which a constant makes the loops faster, else visit(Number<0>).
template <bool kPossible = true, class Visit>
WARPDICE_INLINE void with_few_classes(int64_t classes, Visit visit) {
  if constexpr (kPossible) {
    switch (classes) {
      case 2:
        return visit(Number<2>{});
      case 3:
        return visit(Number<3>{});
      case 4:
        return visit(Number<4>{});
      case 8:
        return visit(Number<8>{});
      default:
        break;
    }
  }
  visit(Number<0>{});
}

/// visit(array) with a pointer to the elements: of a float dtype or uint8.
template <class Visit>
WARPDICE_INLINE void with_elements(const Operand& operand, Visit visit) {
  switch (operand.dtype) {
    case DType::float32:
      return visit(static_cast<const float*>(operand.data));
    case DType::float64:
      return visit(static_cast<const double*>(operand.data));
    case DType::float16:
      return visit(static_cast<const Float16*>(operand.data));
    case DType::bfloat16:
      return visit(static_cast<const BFloat16*>(operand.data));
    case DType::uint8:
      return visit(static_cast<const uint8_t*>(operand.data));
    default:
      return;  // labels only
  }
}

/// visit(array) with a pointer to where a gradient is written: of a float dtype.
template <class Visit>
WARPDICE_INLINE void with_gradient(const GradientOut& out, Visit visit) {
  switch (out.dtype) {
    case DType::float32:
      return visit(static_cast<float*>(out.data));
    case DType::float64:
      return visit(static_cast<double*>(out.data));
    case DType::float16:
      return visit(static_cast<Float16*>(out.data));
    case DType::bfloat16:
      return visit(static_cast<BFloat16*>(out.data));
    default:
      return;  // no gradient
  }
}

/// visit(labels) with a pointer to labels.
template <class Visit>
WARPDICE_INLINE void with_labels(const Operand& operand, Visit visit) {
  switch (operand.dtype) {
    case DType::int32:
      return visit(static_cast<const int32_t*>(operand.data));
    case DType::int64:
      return visit(static_cast<const int64_t*>(operand.data));
    case DType::int16:
      return visit(static_cast<const int16_t*>(operand.data));
    case DType::uint16:
      return visit(static_cast<const uint16_t*>(operand.data));
    default:
      return visit(static_cast<const uint8_t*>(operand.data));
  }
}

template <class T>
constexpr DType kDType = sizeof(T) == 4 ? DType::float32 : DType::float64;

}  // namespace warpdice::cpu::WARPDICE_TARGET
