#include "cuda/runtime/memory.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace warpdice::cuda {
namespace {

/// What this process knows about one device.
struct DeviceState {
  bool initialized = false;
  cudaMemPool_t pool = nullptr;  // null: this device has no stream-ordered allocation
  MemoryUse use;
};

std::mutex mutex;  // guards all states

/// Never destroyed: the driver may be gone before static destructors run.
DeviceState& state_of(int device) {
  static auto* states = new std::map<int, DeviceState>;
  return (*states)[device];
}

/// A pool of our own: other libraries of the process use the default one too.
cudaMemPool_t make_pool(int device) {
  int supported = 0;
  check(cudaDeviceGetAttribute(&supported, cudaDevAttrMemoryPoolsSupported, device), "cudaDeviceGetAttribute");
  if (!supported) return nullptr;
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  cudaMemPool_t pool = nullptr;
  check(cudaMemPoolCreate(&pool, &properties), "cudaMemPoolCreate");
  uint64_t threshold_bytes = UINT64_MAX;  // the pool gives nothing back by itself
  const cudaError_t status = cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold_bytes);
  if (status != cudaSuccess) cudaMemPoolDestroy(pool);
  check(status, "cudaMemPoolSetAttribute");
  return pool;
}

cudaMemPool_t pool_of(int device) {
  std::lock_guard<std::mutex> lock(mutex);
  DeviceState& state = state_of(device);
  if (!state.initialized) {
    state.pool = make_pool(device);
    state.initialized = true;
  }
  return state.pool;
}

cudaError_t allocate_once(void** data, size_t size_bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return pool ? cudaMallocFromPoolAsync(data, size_bytes, pool, stream) : cudaMalloc(data, size_bytes);
}

/// From the pool, or by cudaMalloc where `pool` is null.
void* allocate_bytes(const Stream& stream, size_t size_bytes, cudaMemPool_t pool) {
  void* data = nullptr;
  cudaError_t status = allocate_once(&data, size_bytes, pool, stream.handle());
  if (status == cudaErrorMemoryAllocation) {
    // Memory whose free is still queued may be enough, or memory that the pool keeps in other sizes.
    cudaGetLastError();
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    if (const cudaMemPool_t kept = pool_of(stream.device())) check(cudaMemPoolTrimTo(kept, 0), "cudaMemPoolTrimTo");
    status = allocate_once(&data, size_bytes, pool, stream.handle());
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    const MemoryInfo info = memory_info(stream.device());
    throw Error("ERR_OUT_OF_MEMORY", "Out of memory on cuda:" + std::to_string(stream.device()) + ": " +
                                         std::to_string(size_bytes) + " bytes were asked for, " +
                                         std::to_string(info.free_bytes) + " of " + std::to_string(info.total_bytes) +
                                         " are free");
  }
  check(status, pool ? "cudaMallocFromPoolAsync" : "cudaMalloc");
  return data;
}

void count(int device, size_t size_bytes) {
  std::lock_guard<std::mutex> lock(mutex);
  MemoryUse& use = state_of(device).use;
  use.alive_bytes += size_bytes;
  use.peak_bytes = std::max(use.peak_bytes, use.alive_bytes);
}

/// Later work of `stream` starts when `other` has done all that it holds now.
void make_wait(const Stream& stream, const Stream& other) {
  Event now(other.device());
  now.record(other);
  now.make_wait(stream);
}

/// Throws unless these bytes are memory of the stream's GPU.
void expect_device_memory(const Stream& stream, const void* data, size_t size_bytes) {
  for (const size_t offset : {size_t{0}, size_bytes - 1}) {
    cudaPointerAttributes found{};
    check(cudaPointerGetAttributes(&found, static_cast<const char*>(data) + offset), "cudaPointerGetAttributes");
    if (found.type == cudaMemoryTypeDevice && found.device == stream.device()) continue;
    throw Error("ERR_CUDA", "Expected memory of cuda:" + std::to_string(stream.device()) + " at the pointer and " +
                                std::to_string(size_bytes) + " bytes from it");
  }
}

}  // namespace

MemoryInfo memory_info(int device) {
  use_device(device);
  MemoryInfo info;
  check(cudaMemGetInfo(&info.free_bytes, &info.total_bytes), "cudaMemGetInfo");
  return info;
}

MemoryUse memory_use(int device) {
  std::lock_guard<std::mutex> lock(mutex);
  return state_of(device).use;
}

std::shared_ptr<DeviceMemory> DeviceMemory::allocate(std::shared_ptr<Stream> stream, size_t size_bytes) {
  void* data = nullptr;
  cudaMemPool_t pool = nullptr;
  if (size_bytes > 0) {
    use_device(stream->device());
    pool = pool_of(stream->device());
    data = allocate_bytes(*stream, size_bytes, pool);
  }
  const Ownership ownership = pool ? Ownership::pooled : Ownership::own;
  return std::shared_ptr<DeviceMemory>(new DeviceMemory(std::move(stream), data, size_bytes, ownership));
}

std::shared_ptr<DeviceMemory> DeviceMemory::allocate_exportable(std::shared_ptr<Stream> stream, size_t size_bytes) {
  // CUDA's guide: cudaMalloc puts smaller allocations into common blocks.
  constexpr size_t kBlockBytes = size_t{2} << 20;
  if (size_bytes > SIZE_MAX - kBlockBytes) throw Error("ERR_OUT_OF_MEMORY", "So many bytes cannot be addressed");
  use_device(stream->device());
  const size_t whole_bytes = (size_bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  void* data = allocate_bytes(*stream, whole_bytes, nullptr);
  return std::shared_ptr<DeviceMemory>(new DeviceMemory(std::move(stream), data, whole_bytes, Ownership::exportable));
}

std::shared_ptr<DeviceMemory> DeviceMemory::wrap(std::shared_ptr<Stream> stream, void* data, size_t size_bytes) {
  use_device(stream->device());
  expect_device_memory(*stream, data, size_bytes);
  return std::shared_ptr<DeviceMemory>(new DeviceMemory(std::move(stream), data, size_bytes, Ownership::foreign));
}

std::shared_ptr<DeviceMemory> DeviceMemory::open(std::shared_ptr<Stream> stream, const cudaIpcMemHandle_t& handle,
                                                 size_t size_bytes) {
  use_device(stream->device());
  void* data = nullptr;
  check(cudaIpcOpenMemHandle(&data, handle, cudaIpcMemLazyEnablePeerAccess), "cudaIpcOpenMemHandle");
  // The object closes the handle when the next line throws.
  const auto memory =
      std::shared_ptr<DeviceMemory>(new DeviceMemory(std::move(stream), data, size_bytes, Ownership::opened));
  expect_device_memory(*memory->last_stream(), data, size_bytes);
  return memory;
}

cudaIpcMemHandle_t DeviceMemory::handle() const {
  use_device(device());
  cudaIpcMemHandle_t handle{};
  const bool alone = ownership_ == Ownership::exportable || ownership_ == Ownership::foreign;
  check(alone ? cudaIpcGetMemHandle(&handle, data_) : cudaErrorInvalidValue, "cudaIpcGetMemHandle");
  return handle;
}

DeviceMemory::DeviceMemory(std::shared_ptr<Stream> stream, void* data, size_t size_bytes, Ownership ownership)
    : streams_{stream},
      writer_(stream),
      last_(std::move(stream)),
      data_(data),
      size_bytes_(size_bytes),
      ownership_(ownership) {
  if (is_ours()) count(device(), size_bytes);
}

bool DeviceMemory::is_ours() const { return ownership_ != Ownership::opened && ownership_ != Ownership::foreign; }

void DeviceMemory::used_on(const std::shared_ptr<Stream>& stream, Access access) {
  if (std::find(streams_.begin(), streams_.end(), stream) == streams_.end()) {
    if (access == Access::read) make_wait(*stream, *writer_);
    else
      for (const auto& known : streams_) make_wait(*stream, *known);
    add(stream);
  }
  last_ = stream;
  if (access == Access::write) writer_ = stream;
}

/// Replaces a stream of the same handle, which the new one has waited for: who wraps a handle in every step must not
/// make the list grow. Never the first, whose order the free needs.
void DeviceMemory::add(const std::shared_ptr<Stream>& stream) {
  const auto same = std::find_if(streams_.begin() + 1, streams_.end(), [&](const auto& known) {
    return known->handle() == stream->handle() && known->device() == stream->device();
  });
  if (same == streams_.end()) streams_.push_back(stream);
  else *same = stream;
}

void DeviceMemory::free() const {
  const Stream& first = *streams_.front();
  if (ownership_ == Ownership::pooled) {
    for (size_t i = 1; i < streams_.size(); i++) make_wait(first, *streams_[i]);
    use_device(device());
    check(cudaFreeAsync(data_, first.handle()), "cudaFreeAsync");
    return;
  }
  for (const auto& stream : streams_) stream->synchronize();
  use_device(device());
  if (ownership_ == Ownership::opened) check(cudaIpcCloseMemHandle(data_), "cudaIpcCloseMemHandle");
  else check(cudaFree(data_), "cudaFree");
}

DeviceMemory::~DeviceMemory() {
  if (ownership_ == Ownership::foreign) return;
  const DeviceScope scope(device());
  if (data_) {
    try {
      free();
    } catch (const Error&) {
      // A leak is better than a free that comes too early; and after a lost context nothing is left to free.
    }
  }
  if (!is_ours()) return;
  std::lock_guard<std::mutex> lock(mutex);
  state_of(device()).use.alive_bytes -= size_bytes_;
}

}  // namespace warpdice::cuda
