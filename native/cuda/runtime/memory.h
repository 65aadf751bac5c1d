#pragma once
// Device memory: allocated and freed in the order of streams, from a pool that keeps what was freed, so that a
// training step of unchanging sizes never reaches the driver's allocator. Or somebody else's, by its address.
#include <cstddef>
#include <memory>
#include <vector>

#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

/// Of one device, as the driver counts it now, over all processes.
struct MemoryInfo {
  size_t free_bytes = 0, total_bytes = 0;
};

MemoryInfo memory_info(int device);

/// What this process has allocated through DeviceMemory on one device, without what the pool keeps.
struct MemoryUse {
  size_t alive_bytes = 0;
  size_t peak_bytes = 0;
};

MemoryUse memory_use(int device);

/// Who frees it, and how.
enum class Ownership : uint8_t {
  pooled,   // to the pool
  own,      // by cudaFree: memory that another process can open, or of a device without pools
  opened,   // by cudaIpcCloseMemHandle: another process owns it
  foreign,  // not by us
};

/// One allocation. Shared by all who still need it; the last one frees it, after the work of every stream it was used
/// on.
class DeviceMemory {
 public:
  /// 0 bytes: data() is null. Throws ERR_OUT_OF_MEMORY, which says what was asked and what is free, or ERR_CUDA.
  static std::shared_ptr<DeviceMemory> allocate(std::shared_ptr<Stream> stream, size_t size_bytes);

  /// By cudaMalloc, for cudaIpcGetMemHandle: it takes no stream-ordered memory.
  static std::shared_ptr<DeviceMemory> allocate_exportable(std::shared_ptr<Stream> stream, size_t size_bytes);

  /// Memory that somebody else owns and keeps for as long as this lives. Throws unless it is on the stream's device.
  static std::shared_ptr<DeviceMemory> wrap(std::shared_ptr<Stream> stream, void* data, size_t size_bytes);

  /// What another process has exported: the whole allocation that holds the exported bytes, the first size_bytes of
  /// which are used. Throws unless it has as many.
  static std::shared_ptr<DeviceMemory> open(std::shared_ptr<Stream> stream, const cudaIpcMemHandle_t& handle,
                                            size_t size_bytes);

  /// For another process. Throws unless the memory is its own allocation of cudaMalloc.
  cudaIpcMemHandle_t handle() const;

  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  /// Said by whoever is about to enqueue work on `stream`. The first time that a stream uses memory of another one, it
  /// waits for what that one holds now, its allocation included; later order is made by events.
  void used_on(const std::shared_ptr<Stream>& stream);

  /// The stream that used it last: what is enqueued there finds its latest content.
  const std::shared_ptr<Stream>& last_stream() const { return last_; }

  void* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  int device() const { return streams_.front()->device(); }

 private:
  DeviceMemory(std::shared_ptr<Stream> stream, void* data, size_t size_bytes, Ownership ownership);
  void free() const;

  std::vector<std::shared_ptr<Stream>> streams_;  // [0] allocated it
  std::shared_ptr<Stream> last_;
  void* const data_;
  const size_t size_bytes_;
  const Ownership ownership_;
};

}  // namespace warpdice::cuda
