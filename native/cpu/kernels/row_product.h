#pragma once
#include "cpu/kernels/product.h"
#include "cpu/kernels/simd.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// See RowProduct.
template <class T>
void multiply_rows(const RowProduct<T>& product);

}  // namespace warpdice::cpu::WARPDICE_TARGET
