#pragma once
// Device memory: allocated and freed in the order of streams, from a pool that keeps what was freed, so that a
// training step of unchanging sizes never reaches the driver's allocator.
#include <cstddef>
#include <memory>
#include <vector>

#include "stream.h"

namespace warpdice::cuda {

/// What this process has allocated through DeviceMemory on one device, without what the pool keeps.
struct MemoryUse {
  size_t alive_bytes = 0;
  size_t peak_bytes = 0;
};

MemoryUse memory_use(int device);

/// One allocation. Shared by all who still need it; the last one frees it, after the work of every stream it was used
/// on.
class DeviceMemory {
 public:
  /// Usable at once by work on `stream`; another stream has to wait for it. 0 bytes: data() is null.
  /// Throws ERR_OUT_OF_MEMORY, which says what was asked and what is free, or ERR_CUDA.
  static std::shared_ptr<DeviceMemory> allocate(std::shared_ptr<Stream> stream, size_t size_bytes);

  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  /// Said by whoever enqueues work on another stream than the allocating one.
  void used_on(const std::shared_ptr<Stream>& stream);

  void* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  int device() const { return streams_.front()->device(); }

 private:
  DeviceMemory(std::shared_ptr<Stream> stream, size_t size_bytes);
  std::vector<std::shared_ptr<Stream>> streams_;  // [0] allocated it
  void* data_ = nullptr;
  const size_t size_bytes_;
  bool pooled_ = false;
};

}  // namespace warpdice::cuda
