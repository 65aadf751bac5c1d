// Memory of the fake CUDA runtime: the host's, known by address, so that work on freed memory is a fault.
#include <cstring>

#include "state.h"

struct FakePool {};

using fake::Call;
using fake::state;

namespace {

FakePool pool;

cudaError_t allocate(void** data, size_t size_bytes, bool pooled) {
  fake::State& s = state();
  if (size_bytes > s.total_bytes - s.used_bytes) return cudaErrorMemoryAllocation;
  char* memory = new char[size_bytes];
  std::memset(memory, 0xff, size_bytes);  // what is read before it is written shows
  s.allocations[memory] = {size_bytes, fake::current_device(), pooled, 0};
  s.used_bytes += size_bytes;
  *data = memory;
  return cudaSuccess;
}

void release(void* data, bool pooled) {
  fake::State& s = state();
  const auto it = s.allocations.find(static_cast<char*>(data));
  if (it == s.allocations.end() || it->second.pooled != pooled || it->second.opened > 0) {
    s.fault = cudaErrorIllegalAddress;  // freed twice, by the wrong function, or while another process has it open
    return;
  }
  s.used_bytes -= it->second.size_bytes;
  delete[] it->first;
  s.allocations.erase(it);
}

/// Freed too early, or never allocated.
void expect_device_memory(const void* data, size_t size_bytes) {
  if (!fake::is_device_memory(data, size_bytes)) state().fault = cudaErrorIllegalAddress;
}

void expect_pinned(const void* data) {
  if (state().pinned.count(const_cast<char*>(static_cast<const char*>(data))) == 0) {
    state().fault = cudaErrorIllegalAddress;  // a copy that CUDA would make while the host waits
  }
}

}  // namespace

namespace fake {

bool is_device_memory(const void* data, size_t size_bytes) {
  char* begin = static_cast<char*>(const_cast<void*>(data));
  auto it = state().allocations.upper_bound(begin);
  if (it == state().allocations.begin()) return false;
  --it;
  return begin + size_bytes <= it->first + it->second.size_bytes;
}

size_t allocated_bytes() {
  const Call call("allocated_bytes");
  return state().used_bytes;
}

}  // namespace fake

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const Call call(__func__);
  *total_bytes = state().total_bytes;
  *free_bytes = *total_bytes - state().used_bytes;
  return call.result();
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* made, const cudaMemPoolProps*) {
  const Call call(__func__);
  *made = &pool;
  return call.result();
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return Call(__func__).result(); }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return Call(__func__).result(); }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return Call(__func__).result(); }
cudaError_t cudaMallocFromPoolAsync(void** data, size_t size_bytes, cudaMemPool_t, cudaStream_t) {
  const Call call(__func__);
  return call.result(call.fails() ? cudaSuccess : allocate(data, size_bytes, true));
}
cudaError_t cudaMalloc(void** data, size_t size_bytes) {
  const Call call(__func__);
  return call.result(call.fails() ? cudaSuccess : allocate(data, size_bytes, false));
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  const Call call(__func__);
  if (!call.fails()) fake::enqueue(stream, [data] { return release(data, true), cudaSuccess; });
  return call.result();
}
cudaError_t cudaFree(void* data) {
  const Call call(__func__);
  if (!call.fails()) release(data, false);
  return call.result();
}
cudaError_t cudaHostAlloc(void** data, size_t size_bytes, unsigned) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  char* memory = new char[size_bytes];
  state().pinned[memory] = size_bytes;
  *data = memory;
  return call.result();
}
cudaError_t cudaFreeHost(void* data) {
  const Call call(__func__);
  if (state().pinned.erase(static_cast<char*>(data)) == 0) return call.result(cudaErrorInvalidValue);
  delete[] static_cast<char*>(data);
  return call.result();
}
cudaError_t cudaMemsetAsync(void* data, int value, size_t size_bytes, cudaStream_t stream) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  fake::enqueue(stream, [=] {
    expect_device_memory(data, size_bytes);
    if (state().fault == cudaSuccess) std::memset(data, value, size_bytes);
    return cudaSuccess;
  });
  return call.result();
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t size_bytes, cudaMemcpyKind kind) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  expect_device_memory(kind == cudaMemcpyHostToDevice ? to : from, size_bytes);
  if (state().fault == cudaSuccess) std::memcpy(to, from, size_bytes);
  return call.result();
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size_bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  fake::enqueue(stream, [=] {
    if (kind == cudaMemcpyHostToDevice) expect_pinned(from);
    else expect_device_memory(from, size_bytes);
    if (kind == cudaMemcpyDeviceToHost) expect_pinned(to);
    else expect_device_memory(to, size_bytes);
    if (state().fault == cudaSuccess) std::memcpy(to, from, size_bytes);
    return cudaSuccess;
  });
  return call.result();
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  const Call call(__func__);
  *attributes = {};
  char* address = static_cast<char*>(const_cast<void*>(data));
  if (fake::is_device_memory(data, 1)) {
    const auto it = std::prev(state().allocations.upper_bound(address));
    *attributes = {cudaMemoryTypeDevice, it->second.device, address, nullptr};
  }
  return call.result();
}
cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* data) {
  const Call call(__func__);
  const auto it = state().allocations.find(static_cast<char*>(data));
  if (it == state().allocations.end() || it->second.pooled) return call.result(cudaErrorInvalidValue);
  *handle = {};
  std::memcpy(handle->reserved, &data, sizeof data);
  return call.result();
}
cudaError_t cudaIpcOpenMemHandle(void** data, cudaIpcMemHandle_t handle, unsigned) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  std::memcpy(data, handle.reserved, sizeof *data);
  const auto it = state().allocations.find(static_cast<char*>(*data));
  if (it == state().allocations.end()) return call.result(cudaErrorInvalidResourceHandle);
  if (!state().other_process) return call.result(cudaErrorDeviceUninitialized);
  it->second.opened++;
  return call.result();
}
cudaError_t cudaIpcCloseMemHandle(void* data) {
  const Call call(__func__);
  const auto it = state().allocations.find(static_cast<char*>(data));
  if (it == state().allocations.end() || it->second.opened == 0) return call.result(cudaErrorInvalidValue);
  it->second.opened--;
  return call.result();
}
