#include "cpu/memory/workspace.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "math/error.h"

namespace warpdice::cpu {
namespace {

std::atomic<size_t> held{0};

}  // namespace

Workspace::~Workspace() { release(); }

void* Workspace::reserve(size_t size_bytes) {
  if (size_bytes > size_bytes_) {
    release();
    const size_t rounded = (size_bytes + 63) / 64 * 64;
    data_ = std::aligned_alloc(64, rounded);
    if (!data_)
      throw Error("ERR_OUT_OF_MEMORY", "Could not allocate a workspace of " + std::to_string(rounded) + " bytes");
    size_bytes_ = rounded;
    held += rounded;
  }
  return data_;
}

void Workspace::trim() {
  if (held > kKeptBytes) release();
}

void Workspace::release() {
  std::free(data_);
  held -= size_bytes_;
  data_ = nullptr;
  size_bytes_ = 0;
}

}  // namespace warpdice::cpu
