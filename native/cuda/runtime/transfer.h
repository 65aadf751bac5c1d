#pragma once
// Copies between the host and a device, through pinned host memory from a pool: from any other memory CUDA would copy
// while the caller waits, and to pin memory takes longer than to copy it.
#include <cstddef>
#include <list>
#include <memory>

#include "cuda/runtime/memory.h"

namespace warpdice::cuda {

struct FreePinned {
  void operator()(void* data) const;
};

struct PinnedBlock {
  std::unique_ptr<void, FreePinned> data;
  size_t size_bytes = 0;
  std::unique_ptr<Event> done;  // the last copy that uses it
};

/// Pinned host memory. A queued copy may still use it after the object is gone.
class PinnedBuffer {
 public:
  PinnedBuffer(int device, size_t size_bytes);
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  ~PinnedBuffer();  // returns the memory to the pool, which reuses it when the recorded copies are done

  /// Call this after the last copy that uses the memory was enqueued.
  void used_on(const Stream& stream);
  /// Blocks until those copies are done.
  void wait() const { block_.front().done->synchronize(); }
  void* data() const { return block_.front().data.get(); }

 private:
  std::list<PinnedBlock> block_;  // one, so that it moves to the pool and back without an allocation
};

/// Enqueues the copy of what `from` holds now. The caller may change it immediately. Waits only when more than 256 MB
/// are still to be copied.
void upload(const void* from, DeviceMemory& to, size_t offset_bytes, size_t size_bytes,
            const std::shared_ptr<Stream>& stream);

/// A copy from a device to the host, on the stream that used the memory last.
class Download {
 public:
  Download(const DeviceMemory& from, size_t offset_bytes, size_t size_bytes);
  /// The bytes, which are complete when that stream has passed the copy.
  const void* data() const { return buffer_.data(); }

 private:
  PinnedBuffer buffer_;
};

}  // namespace warpdice::cuda
