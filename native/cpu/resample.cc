#include "cpu/resample.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>

#include "cpu/pool.h"

namespace warpdice::cpu {
namespace {

int64_t product(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<int64_t>());
}

/// to[i] = from[index[i]], for elements of kBytes, or of `bytes` when kBytes is 0.
template <int kBytes>
void gather(const std::vector<int64_t>& index, size_t bytes, const char* from, char* to) {
  for (size_t i = 0; i < index.size(); i++) {
    const size_t size = kBytes ? kBytes : bytes;
    std::memcpy(to + i * size, from + static_cast<size_t>(index[i]) * size, size);
  }
}

void gather(const std::vector<int64_t>& index, size_t bytes, const char* from, char* to) {
  switch (bytes) {
    case 1:
      return gather<1>(index, bytes, from, to);
    case 2:
      return gather<2>(index, bytes, from, to);
    case 4:
      return gather<4>(index, bytes, from, to);
    case 8:
      return gather<8>(index, bytes, from, to);
    default:
      return gather<0>(index, bytes, from, to);
  }
}

}  // namespace

void resample_nearest(const Resampling& shape, const void* from, void* to) {
  const size_t rank = shape.from_sizes.size();
  std::vector<std::vector<int64_t>> index(rank);
  for (size_t axis = 0; axis < rank; axis++) {
    const int64_t most = shape.from_sizes[axis], count = shape.to_sizes[axis];
    for (int64_t i = 0; i < count; i++) index[axis].push_back(nearest_index(i, most, count));
  }
  const size_t unit_bytes = static_cast<size_t>(shape.inner) * shape.element_bytes;
  const int64_t to_row = shape.to_sizes.back(), from_row = shape.from_sizes.back();
  const int64_t rows = product(shape.to_sizes) / to_row, from_rows = product(shape.from_sizes) / from_row;
  const int64_t bytes = static_cast<int64_t>(unit_bytes), grain = std::max<int64_t>(1, 32768 / (to_row * bytes));
  Pool::instance().parallel_for(shape.outer * rows, grain, [&](int64_t r) {
    // Splits the row number into indices along the axes before the last, innermost first; the rest is the outer index.
    int64_t left = r, source = 0, stride = 1;
    for (size_t axis = rank - 1; axis-- > 0; left /= shape.to_sizes[axis], stride *= shape.from_sizes[axis]) {
      source += index[axis][static_cast<size_t>(left % shape.to_sizes[axis])] * stride;
    }
    source += r / rows * from_rows;
    gather(index.back(), unit_bytes, static_cast<const char*>(from) + source * from_row * bytes,
           static_cast<char*>(to) + r * to_row * bytes);
  });
}

}  // namespace warpdice::cpu
