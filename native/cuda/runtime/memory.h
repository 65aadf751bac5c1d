#pragma once
// Device memory. Streams allocate and free it in their order, from a pool that keeps freed memory: training steps whose
// sizes do not change never reach the driver's allocator. Memory of other owners is used by its address.
#include <cstddef>
#include <memory>
#include <vector>

#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

/// The memory of one device now, as the driver counts it over all processes.
struct MemoryInfo {
  size_t free_bytes = 0, total_bytes = 0;
};

MemoryInfo memory_info(int device);

/// The memory of one device that this process has in DeviceMemory objects. The pool may keep more.
struct MemoryUse {
  size_t alive_bytes = 0;
  size_t peak_bytes = 0;
};

MemoryUse memory_use(int device);

/// How the memory is freed.
enum class Ownership : uint8_t {
  pooled,      // it goes back to the pool
  own,         // by cudaFree: the device has no pools
  exportable,  // by cudaFree: other processes can open it
  opened,      // by cudaIpcCloseMemHandle: another process owns it
  foreign,     // not at all: somebody else frees it
};

/// What work does with memory.
enum class Access : uint8_t { read, write };

/// One allocation. All who need it share it. The last one frees it, after the work of every stream that has used it.
class DeviceMemory {
 public:
  /// With 0 bytes data() is null. Throws ERR_CUDA, or ERR_OUT_OF_MEMORY with the bytes asked for and the bytes free.
  static std::shared_ptr<DeviceMemory> allocate(std::shared_ptr<Stream> stream, size_t size_bytes);

  /// Allocates by cudaMalloc, because cudaIpcGetMemHandle does not take memory of a pool, and at least so many bytes
  /// that the allocation shares its memory with no other: a handle exposes all of the block in which an allocation
  /// lies.
  static std::shared_ptr<DeviceMemory> allocate_exportable(std::shared_ptr<Stream> stream, size_t size_bytes);

  /// Uses memory of somebody else, who keeps it for as long as this object lives. Throws unless it is on the stream's
  /// device.
  static std::shared_ptr<DeviceMemory> wrap(std::shared_ptr<Stream> stream, void* data, size_t size_bytes);

  /// Opens an allocation that another process has exported, and uses its first size_bytes. Throws when it has fewer.
  static std::shared_ptr<DeviceMemory> open(std::shared_ptr<Stream> stream, const cudaIpcMemHandle_t& handle,
                                            size_t size_bytes);

  /// A handle for another process. Throws unless it is exportable, or foreign memory that CUDA can export.
  cudaIpcMemHandle_t handle() const;

  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  ~DeviceMemory();

  /// Call this before you enqueue work with the memory on `stream`. A stream that uses it for the first time waits: to
  /// read, for all work that the last writer holds now; to write, for that of every stream that has used it. The stream
  /// that allocates counts as a writer. Events of the caller order later work.
  void used_on(const std::shared_ptr<Stream>& stream, Access access);

  /// The stream that used the memory last. Work that is enqueued there finds the latest content.
  const std::shared_ptr<Stream>& last_stream() const { return last_; }

  void* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  int device() const { return streams_.front()->device(); }

 private:
  DeviceMemory(std::shared_ptr<Stream> stream, void* data, size_t size_bytes, Ownership ownership);
  bool is_ours() const;
  void add(const std::shared_ptr<Stream>& stream);
  void free() const;

  std::vector<std::shared_ptr<Stream>> streams_;  // [0] allocated it
  std::shared_ptr<Stream> writer_, last_;
  void* const data_;
  const size_t size_bytes_;
  const Ownership ownership_;
};

}  // namespace warpdice::cuda
