#pragma once
// Nearest resampling of [outer, ...sizes, inner]: to[i] = from[floor(i * from_size / to_size)] along each axis.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warpdice {

struct Resampling {
  int64_t outer = 1;
  std::vector<int64_t> from_sizes, to_sizes;  // of the axes, as many; their products fit in 63 bits
  int64_t inner = 1;                          // elements that stay together
  size_t element_bytes = 1;
};

}  // namespace warpdice
