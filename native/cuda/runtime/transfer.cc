#include "cuda/runtime/transfer.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>

namespace warpdice::cuda {
namespace {

constexpr size_t kMaxIdleBytes = size_t{256} << 20;

struct Pool {
  std::mutex mutex;
  std::list<PinnedBlock> idle;  // the newest first
  size_t idle_bytes = 0;
};

/// Never destroyed: when static destructors run the driver may be gone.
Pool& pool() {
  static auto* only = new Pool;
  return *only;
}

constexpr size_t kPartBytes = size_t{32} << 20;  // of an upload

/// To a power of two or, from the size of a part on, to whole parts, so that tensors of nearly the same size use the
/// same blocks and large ones pin little more than they need.
size_t rounded_up(size_t size_bytes) {
  if (size_bytes > kPartBytes) return (size_bytes + kPartBytes - 1) / kPartBytes * kPartBytes;
  size_t size = 4096;
  while (size < size_bytes) size *= 2;
  return size;
}

/// Takes a block of exactly this size whose copies are done. An empty list when there is none.
std::list<PinnedBlock> take_idle(size_t size_bytes) {
  Pool& p = pool();
  std::list<PinnedBlock> found;
  std::lock_guard<std::mutex> lock(p.mutex);
  for (auto it = p.idle.begin(); it != p.idle.end(); ++it) {
    if (it->size_bytes != size_bytes || it->done->query() == cudaErrorNotReady) continue;
    p.idle_bytes -= size_bytes;
    found.splice(found.end(), p.idle, it);
    break;
  }
  return found;
}

/// Frees all idle blocks, when their copies are done.
void release_idle() {
  Pool& p = pool();
  std::list<PinnedBlock> blocks;
  {
    std::lock_guard<std::mutex> lock(p.mutex);
    blocks.splice(blocks.end(), p.idle);
    p.idle_bytes = 0;
  }
  for (const PinnedBlock& block : blocks) block.done->synchronize();
}

/// A block without an event.
std::list<PinnedBlock> allocate_block(size_t size_bytes) {
  std::list<PinnedBlock> made(1);
  void* data = nullptr;
  cudaError_t status = cudaHostAlloc(&data, size_bytes, cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    release_idle();
    status = cudaHostAlloc(&data, size_bytes, cudaHostAllocPortable);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error("ERR_OUT_OF_MEMORY",
                "Out of pinned host memory: " + std::to_string(size_bytes) + " bytes were asked for");
  }
  check(status, "cudaHostAlloc");
  made.front().data.reset(data);
  made.front().size_bytes = size_bytes;
  return made;
}

}  // namespace

void FreePinned::operator()(void* data) const {
  cudaFreeHost(data);
  cudaGetLastError();
}

PinnedBuffer::PinnedBuffer(int device, size_t size_bytes) : block_(take_idle(rounded_up(size_bytes))) {
  if (block_.empty()) {
    use_device(device);
    block_ = allocate_block(rounded_up(size_bytes));
  }
  auto& done = block_.front().done;
  if (!done || done->device() != device) done = std::make_unique<Event>(device);
}

PinnedBuffer::~PinnedBuffer() {
  const DeviceScope scope(block_.front().done->device());
  Pool& p = pool();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.idle_bytes += block_.front().size_bytes;
  p.idle.splice(p.idle.begin(), block_);  // a list: a destructor must not allocate
  // Frees the oldest first, but none whose copies still run.
  for (auto it = p.idle.end(); p.idle_bytes > kMaxIdleBytes && it != p.idle.begin();) {
    --it;
    if (it->done->query() == cudaErrorNotReady) continue;
    p.idle_bytes -= it->size_bytes;
    it = p.idle.erase(it);
  }
}

void PinnedBuffer::used_on(const Stream& stream) {
  try {
    block_.front().done->record(stream);
  } catch (const Error&) {
    // Without the event nobody would know when the pool may reuse the memory.
    cudaStreamSynchronize(stream.handle());
    cudaGetLastError();
    throw;
  }
}

void upload(const void* from, DeviceMemory& to, size_t offset_bytes, size_t size_bytes,
            const std::shared_ptr<Stream>& stream) {
  constexpr size_t kMaxParts = 8;
  to.used_on(stream, Access::write);
  std::deque<std::unique_ptr<PinnedBuffer>> parts;
  for (size_t begin = 0; begin < size_bytes; begin += kPartBytes) {
    const size_t count = std::min(kPartBytes, size_bytes - begin);
    if (parts.size() == kMaxParts) {
      parts.front()->wait();
      parts.pop_front();
    }
    auto buffer = std::make_unique<PinnedBuffer>(stream->device(), count);
    std::memcpy(buffer->data(), static_cast<const char*>(from) + begin, count);
    use_device(stream->device());  // the pool may have made another device current
    check(cudaMemcpyAsync(static_cast<char*>(to.data()) + offset_bytes + begin, buffer->data(), count,
                          cudaMemcpyHostToDevice, stream->handle()),
          "cudaMemcpyAsync");
    buffer->used_on(*stream);
    parts.push_back(std::move(buffer));
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
