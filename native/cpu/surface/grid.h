#pragma once
#include <cstdint>
#include <memory>

#include "cpu/memory/huge_pages.h"

namespace warpdice::cpu {

/// A box of voxels, axis 0 outermost. A 2D image is flat: its rows are along axis 0 and its columns along axis 2, so
/// that its rows are the planes that threads share.
struct Grid {
  int64_t sizes[3] = {1, 1, 1};
  double spacing[3] = {1, 1, 1};
  bool flat = false;

  int64_t plane() const { return sizes[1] * sizes[2]; }
  int64_t voxels() const { return sizes[0] * plane(); }
  /// Planes that a thread takes at a time.
  int64_t grain() const { return plane() >= 4096 ? 1 : 4096 / plane(); }
};

/// Smaller images are each left to one thread; larger ones are taken one after the other, by all threads.
constexpr int64_t kLargeImage = int64_t{1} << 18;  // voxels

/// An array that is not filled with zeros. A large one asks for huge pages, because the first touch of a page takes
/// longer than most passes over it.
template <class T>
std::unique_ptr<T[]> uninitialized(int64_t count) {
  const auto size = static_cast<size_t>(count);
  std::unique_ptr<T[]> array(new T[size]);
  if (size * sizeof(T) >= size_t{4} << 20) prefer_huge_pages(array.get(), size * sizeof(T));
  return array;
}

}  // namespace warpdice::cpu
