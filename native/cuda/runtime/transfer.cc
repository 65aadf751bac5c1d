#include "cuda/runtime/transfer.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>

namespace warpdice::cuda {
namespace {

/// Pinned memory that nobody owns now.
struct IdleBuffer {
  void* data;
  size_t size_bytes;
  std::unique_ptr<Event> done;  // the last copy that uses it
};

constexpr size_t kMaxIdleBytes = size_t{256} << 20;

struct Pool {
  std::mutex mutex;
  std::list<IdleBuffer> idle;
  size_t idle_bytes = 0;
};

/// Never destroyed: when static destructors run the driver may be gone.
Pool& pool() {
  static auto* only = new Pool;
  return *only;
}

/// To a power of two, so that tensors of nearly the same size use the same buffers.
size_t rounded_up(size_t size_bytes) {
  size_t size = 4096;
  while (size < size_bytes) size *= 2;
  return size;
}

/// Takes a buffer of exactly this size whose copies are done. False when there is none.
bool take_idle(size_t size_bytes, IdleBuffer& found) {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  for (auto it = p.idle.begin(); it != p.idle.end(); ++it) {
    if (it->size_bytes != size_bytes || it->done->query() == cudaErrorNotReady) continue;
    found = std::move(*it);
    p.idle_bytes -= size_bytes;
    p.idle.erase(it);
    return true;
  }
  return false;
}

}  // namespace

PinnedBuffer::PinnedBuffer(int device, size_t size_bytes) : data_(nullptr), size_bytes_(rounded_up(size_bytes)) {
  IdleBuffer found;
  if (take_idle(size_bytes_, found)) {
    data_ = found.data;
    if (found.done->device() == device) done_ = std::move(found.done);
    else done_ = std::make_unique<Event>(device);
    return;
  }
  done_ = std::make_unique<Event>(device);
  const cudaError_t status = cudaHostAlloc(&data_, size_bytes_, cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("ERR_OUT_OF_MEMORY",
                "Out of pinned host memory: " + std::to_string(size_bytes_) + " bytes were asked for");
  }
  check(status, "cudaHostAlloc");
}

PinnedBuffer::~PinnedBuffer() {
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.idle_bytes += size_bytes_;
  p.idle.push_front({data_, size_bytes_, std::move(done_)});
  // Frees the oldest first, but none whose copies still run.
  for (auto it = p.idle.end(); p.idle_bytes > kMaxIdleBytes && it != p.idle.begin();) {
    --it;
    if (it->done->query() == cudaErrorNotReady) continue;
    cudaFreeHost(it->data);
    p.idle_bytes -= it->size_bytes;
    it = p.idle.erase(it);
  }
  cudaGetLastError();
}

void upload(const void* from, DeviceMemory& to, size_t offset_bytes, size_t size_bytes,
            const std::shared_ptr<Stream>& stream) {
  constexpr size_t kChunkBytes = size_t{32} << 20, kMaxChunks = 8;
  to.used_on(stream);
  std::deque<std::unique_ptr<PinnedBuffer>> chunks;
  for (size_t begin = 0; begin < size_bytes; begin += kChunkBytes) {
    const size_t count = std::min(kChunkBytes, size_bytes - begin);
    if (chunks.size() == kMaxChunks) {
      chunks.front()->wait();
      chunks.pop_front();
    }
    auto buffer = std::make_unique<PinnedBuffer>(stream->device(), count);
    std::memcpy(buffer->data(), static_cast<const char*>(from) + begin, count);
    use_device(stream->device());  // the pool may have made another device current
    check(cudaMemcpyAsync(static_cast<char*>(to.data()) + offset_bytes + begin, buffer->data(), count,
                          cudaMemcpyHostToDevice, stream->handle()),
          "cudaMemcpyAsync");
    buffer->used_on(*stream);
    chunks.push_back(std::move(buffer));
  }
}

Download::Download(const DeviceMemory& from, size_t offset_bytes, size_t size_bytes)
    : buffer_(from.device(), size_bytes) {
  const Stream& stream = *from.last_stream();
  use_device(stream.device());
  check(cudaMemcpyAsync(buffer_.data(), static_cast<char*>(from.data()) + offset_bytes, size_bytes,
                        cudaMemcpyDeviceToHost, stream.handle()),
        "cudaMemcpyAsync");
  buffer_.used_on(stream);
}

}  // namespace warpdice::cuda
