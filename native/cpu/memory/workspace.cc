#include "cpu/memory/workspace.h"

#include <atomic>
#include <cstdlib>
#include <string>

#include "math/error.h"

#if defined(_WIN32)
#include <malloc.h>
#endif

namespace warpdice::cpu {
namespace {

std::atomic<size_t> held{0};

#if defined(_WIN32)  // no aligned_alloc, and free() cannot free aligned memory
void* allocate_aligned(size_t size_bytes) { return _aligned_malloc(size_bytes, 64); }
void free_aligned(void* data) { _aligned_free(data); }
#else
void* allocate_aligned(size_t size_bytes) { return std::aligned_alloc(64, size_bytes); }
void free_aligned(void* data) { std::free(data); }
#endif

}  // namespace

Workspace::~Workspace() { release(); }

void* Workspace::reserve(size_t size_bytes) {
  if (size_bytes > size_bytes_) {
    release();
    const size_t rounded = (size_bytes + 63) / 64 * 64;
    data_ = allocate_aligned(rounded);
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

size_t Workspace::held_bytes() { return held; }

void Workspace::release() {
  free_aligned(data_);
  held -= size_bytes_;
  data_ = nullptr;
  size_bytes_ = 0;
}

}  // namespace warpdice::cpu
