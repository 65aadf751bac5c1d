#include "memory.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace warpdice::cuda {
namespace {

/// What is known of one device.
struct DeviceState {
  bool initialized = false;
  cudaMemPool_t pool = nullptr;  // null: this device has no stream-ordered allocation
  MemoryUse use;
};

std::mutex mutex;  // of all states

/// Never destroyed: the driver may be gone before static destructors run.
DeviceState& state_of(int device) {
  static auto* states = new std::map<int, DeviceState>;
  return (*states)[device];
}

/// A pool of our own, for the default one belongs to every library of the process.
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
  uint64_t threshold_bytes = UINT64_MAX;  // give nothing back by itself
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

cudaError_t allocate(void** data, size_t size_bytes, cudaMemPool_t pool, cudaStream_t stream) {
  return pool ? cudaMallocFromPoolAsync(data, size_bytes, pool, stream) : cudaMalloc(data, size_bytes);
}

}  // namespace

MemoryUse memory_use(int device) {
  std::lock_guard<std::mutex> lock(mutex);
  return state_of(device).use;
}

std::shared_ptr<DeviceMemory> DeviceMemory::allocate(std::shared_ptr<Stream> stream, size_t size_bytes) {
  return std::shared_ptr<DeviceMemory>(new DeviceMemory(std::move(stream), size_bytes));
}

DeviceMemory::DeviceMemory(std::shared_ptr<Stream> stream, size_t size_bytes)
    : streams_{std::move(stream)}, size_bytes_(size_bytes) {
  if (size_bytes == 0) return;
  const int device = this->device();
  const cudaStream_t handle = streams_.front()->handle();
  use_device(device);
  const cudaMemPool_t pool = pool_of(device);
  cudaError_t status = cuda::allocate(&data_, size_bytes, pool, handle);
  if (status == cudaErrorMemoryAllocation && pool) {
    // Frees that are still queued may be what is missing, or what the pool keeps in other sizes.
    cudaGetLastError();
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
    status = cuda::allocate(&data_, size_bytes, pool, handle);
  }
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free_bytes = 0, total_bytes = 0;
    check(cudaMemGetInfo(&free_bytes, &total_bytes), "cudaMemGetInfo");
    throw Error("ERR_OUT_OF_MEMORY", "Out of memory on cuda:" + std::to_string(device) + ": " +
                                         std::to_string(size_bytes) + " bytes were asked for, " +
                                         std::to_string(free_bytes) + " of " + std::to_string(total_bytes) +
                                         " are free");
  }
  check(status, pool ? "cudaMallocFromPoolAsync" : "cudaMalloc");
  pooled_ = pool != nullptr;

  std::lock_guard<std::mutex> lock(mutex);
  MemoryUse& use = state_of(device).use;
  use.alive_bytes += size_bytes;
  use.peak_bytes = std::max(use.peak_bytes, use.alive_bytes);
}

void DeviceMemory::used_on(const std::shared_ptr<Stream>& stream) {
  for (const auto& known : streams_) {
    if (known->handle() == stream->handle()) return;
  }
  streams_.push_back(stream);
}

DeviceMemory::~DeviceMemory() {
  if (!data_) return;
  const Stream& first = *streams_.front();
  bool ordered = true;
  try {
    for (size_t i = 1; i < streams_.size(); i++) {
      Event done(streams_[i]->device());
      done.record(*streams_[i]);
      done.make_wait(first);
    }
    use_device(first.device());
  } catch (const Error&) {
    ordered = false;  // too early a free would be worse than a leak, and a lost context has freed all
  }
  if (ordered) {
    if (pooled_) {
      cudaFreeAsync(data_, first.handle());
    } else {
      for (const auto& stream : streams_) cudaStreamSynchronize(stream->handle());
      cudaFree(data_);
    }
    cudaGetLastError();
  }
  std::lock_guard<std::mutex> lock(mutex);
  state_of(first.device()).use.alive_bytes -= size_bytes_;
}

}  // namespace warpdice::cuda
