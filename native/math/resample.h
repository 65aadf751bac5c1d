#pragma once
// Nearest resampling of [outer, ...sizes, inner]: along each axis, to[i] is the voxel of `from` that
// holds the middle of voxel i.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "math/sums.h"  // WARPDICE_HOST_DEVICE

namespace warpdice {

struct Resampling {
  int64_t outer = 1;
  std::vector<int64_t> from_sizes, to_sizes;  // of the axes, as many; their products fit in 63 bits
  int64_t inner = 1;                          // elements that stay together
  size_t element_bytes = 1;
};

/// floor((i + 1/2) * from / to) in integers: 2 * from * to fits in 63 bits.
WARPDICE_HOST_DEVICE inline int64_t nearest_index(int64_t i, int64_t from, int64_t to) {
  return (2 * i + 1) * from / (2 * to);
}

}  // namespace warpdice
