#pragma once
// One array, spread over the threads of the pool in parts of 256 KiB.
#include <algorithm>
#include <cstddef>

#include "cpu/pool.h"

namespace warpdice::cpu {

/// Calls part(at, bytes) for every part of an array, on the threads.
template <class Part>
void for_parts(size_t size_bytes, Part part) {
  constexpr size_t kPart = size_t{1} << 18;
  const int64_t parts = static_cast<int64_t>((size_bytes + kPart - 1) / kPart);
  Pool::instance().parallel_for(parts, 1, [&](int64_t i) {
    const size_t at = static_cast<size_t>(i) * kPart;
    part(at, std::min(kPart, size_bytes - at));
  });
}

}  // namespace warpdice::cpu
