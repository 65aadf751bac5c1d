#include "cpu/memory/workspace.h"

#include <cstdlib>
#include <string>

#include "math/error.h"

namespace warpdice::cpu {

Workspace::~Workspace() { std::free(data_); }

void* Workspace::reserve(size_t size_bytes) {
  if (size_bytes > size_bytes_) {
    std::free(data_);
    size_bytes_ = 0;
    const size_t rounded = (size_bytes + 63) / 64 * 64;
    data_ = std::aligned_alloc(64, rounded);
    if (!data_)
      throw Error("ERR_OUT_OF_MEMORY", "Could not allocate a workspace of " + std::to_string(rounded) + " bytes");
    size_bytes_ = rounded;
  }
  return data_;
}

void Workspace::trim() {
  constexpr size_t kKeptBytes = size_t{16} << 20;
  if (size_bytes_ <= kKeptBytes) return;
  std::free(data_);
  data_ = nullptr;
  size_bytes_ = 0;
}

}  // namespace warpdice::cpu
