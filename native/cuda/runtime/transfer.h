#pragma once
// Copies between the host and a device. The host's side is pinned memory from a pool: CUDA copies any other while the
// caller waits, and pinning costs more than a copy.
#include <cstddef>
#include <memory>

#include "cuda/runtime/memory.h"

namespace warpdice::cuda {

/// Pinned host memory that a queued copy may still use after its owner is gone.
class Staging {
 public:
  Staging(int device, size_t size_bytes);
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  ~Staging();  // to the pool, to be taken again when the recorded copies are done

  /// Said after the last copy that uses it was enqueued.
  void used_on(const Stream& stream) { done_->record(stream); }
  /// Blocks until those copies are done.
  void wait() const { done_->synchronize(); }
  void* data() const { return data_; }

 private:
  void* data_;
  size_t size_bytes_;
  std::unique_ptr<Event> done_;
};

/// Enqueues the copy of what `from` holds now; the caller may change it at once. Waits only when more than 256 MB are
/// on their way.
void upload(const void* from, DeviceMemory& to, size_t offset_bytes, size_t size_bytes,
            const std::shared_ptr<Stream>& stream);

/// A copy from a device that is on its way to the host, on the last stream that used the memory.
class Download {
 public:
  Download(const DeviceMemory& from, size_t offset_bytes, size_t size_bytes);
  /// What arrived; to be read when that stream has passed the copy.
  const void* data() const { return staging_.data(); }

 private:
  Staging staging_;
};

}  // namespace warpdice::cuda
