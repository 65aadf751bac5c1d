#include "cuda_runtime.h"

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

/// How often the event was recorded and how many of those records have been reached; it outlives cudaEventDestroy.
struct Marks {
  int recorded = 0, reached = 0;
};
struct FakeEvent {
  std::shared_ptr<Marks> marks = std::make_shared<Marks>();
};
struct FakeStream {
  std::deque<std::function<bool()>> work;  // each returns whether it is done
  bool held = false, destroyed = false;
};
struct FakePool {};

namespace {

std::recursive_mutex mutex;
using Lock = std::lock_guard<std::recursive_mutex>;
std::set<FakeStream*> streams;
std::map<char*, size_t> allocations;
size_t used_bytes = 0;
cudaError_t fault = cudaSuccess, last_error = cudaSuccess;
bool pools_supported = true;
FakePool pool;

cudaError_t result(cudaError_t status) {
  if (fault != cudaSuccess) status = fault;
  if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
  return status;
}

/// Runs all that can run: until every stream is empty, held, or waits for a held one.
void progress() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto it = streams.begin(); it != streams.end();) {
      FakeStream* stream = *it;
      while (!stream->held && !stream->work.empty() && stream->work.front()()) {
        stream->work.pop_front();
        moved = true;
      }
      if (stream->destroyed && stream->work.empty()) {
        it = streams.erase(it);
        delete stream;
      } else {
        ++it;
      }
    }
  }
}

void enqueue(FakeStream* stream, std::function<bool()> work) { stream->work.push_back(std::move(work)); }

bool contains(char* data, size_t size_bytes) {
  auto it = allocations.upper_bound(data);
  if (it == allocations.begin()) return false;
  --it;
  return data + size_bytes <= it->first + it->second;
}

cudaError_t allocate(void** data, size_t size_bytes) {
  if (size_bytes > fake::kTotalBytes - used_bytes) return cudaErrorMemoryAllocation;
  char* memory = new char[size_bytes];
  allocations[memory] = size_bytes;
  used_bytes += size_bytes;
  *data = memory;
  return cudaSuccess;
}

void release(void* data) {
  const auto it = allocations.find(static_cast<char*>(data));
  if (it == allocations.end()) {
    fault = cudaErrorIllegalAddress;  // freed twice
    return;
  }
  used_bytes -= it->second;
  delete[] it->first;
  allocations.erase(it);
}

}  // namespace

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    default:
      return "another fake error";
  }
}
const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorInvalidDevice ? "invalid device ordinal" : "fake error";
}
cudaError_t cudaGetLastError() {
  Lock lock(mutex);
  const cudaError_t status = last_error;
  last_error = fault;
  return status;
}
cudaError_t cudaSetDevice(int device) {
  Lock lock(mutex);
  return result(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  Lock lock(mutex);
  *value = pools_supported;
  return result(cudaSuccess);
}
cudaError_t cudaDeviceSynchronize() {
  Lock lock(mutex);
  progress();
  return result(cudaSuccess);
}
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  Lock lock(mutex);
  *free_bytes = fake::kTotalBytes - used_bytes;
  *total_bytes = fake::kTotalBytes;
  return result(cudaSuccess);
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* made, const cudaMemPoolProps*) {
  *made = &pool;
  Lock lock(mutex);
  return result(cudaSuccess);
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return cudaSuccess; }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return cudaSuccess; }
cudaError_t cudaMallocFromPoolAsync(void** data, size_t size_bytes, cudaMemPool_t, cudaStream_t) {
  Lock lock(mutex);
  return result(fault ? fault : allocate(data, size_bytes));
}
cudaError_t cudaMalloc(void** data, size_t size_bytes) {
  Lock lock(mutex);
  return result(fault ? fault : allocate(data, size_bytes));
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  Lock lock(mutex);
  enqueue(stream, [data] { return release(data), true; });
  return result(cudaSuccess);
}
cudaError_t cudaFree(void* data) {
  Lock lock(mutex);
  release(data);
  return result(cudaSuccess);
}
cudaError_t cudaMemsetAsync(void* data, int value, size_t size_bytes, cudaStream_t stream) {
  Lock lock(mutex);
  enqueue(stream, [=] {
    if (contains(static_cast<char*>(data), size_bytes)) std::memset(data, value, size_bytes);
    else fault = cudaErrorIllegalAddress;  // freed too early, or never allocated
    return true;
  });
  return result(cudaSuccess);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* made, unsigned) {
  Lock lock(mutex);
  if (fault == cudaSuccess) streams.insert(*made = new FakeStream);
  return result(cudaSuccess);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  Lock lock(mutex);
  stream->destroyed = true;
  progress();
  return result(cudaSuccess);
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  Lock lock(mutex);
  progress();  // tests synchronize no held stream: it would never end
  return result(cudaSuccess);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Lock lock(mutex);
  enqueue(stream, [marks = event->marks, recorded = event->marks->recorded] { return marks->reached >= recorded; });
  return result(cudaSuccess);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* made, unsigned) {
  Lock lock(mutex);
  if (fault == cudaSuccess) *made = new FakeEvent;
  return result(cudaSuccess);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  Lock lock(mutex);
  delete event;
  return result(cudaSuccess);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Lock lock(mutex);
  const int record = ++event->marks->recorded;
  enqueue(stream, [marks = event->marks, record] { return marks->reached = record, true; });
  return result(cudaSuccess);
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  Lock lock(mutex);
  progress();
  return result(event->marks->reached >= event->marks->recorded ? cudaSuccess : cudaErrorNotReady);
}

namespace fake {
void set_pools_supported(bool supported) { pools_supported = supported; }
void hold(cudaStream_t stream, bool held) {
  Lock lock(mutex);
  stream->held = held;
}
void set_fault(cudaError_t status) {
  Lock lock(mutex);
  fault = last_error = status;
}
size_t allocated_bytes() {
  Lock lock(mutex);
  return used_bytes;
}
}  // namespace fake
