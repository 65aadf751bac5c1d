// Memory of the fake CUDA runtime. It is the host's, listed by address, so that work on freed memory is an error.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "state.h"

using fake::Call;
using fake::state;

namespace {

size_t free_bytes_of(int device) {
  const size_t taken_bytes = state().taken_bytes[device];
  return state().total_bytes > taken_bytes ? state().total_bytes - taken_bytes : 0;
}

// A launch looks among the words of its arguments for memory of another device (is_elsewhere). The heap of a program
// may begin at addresses below 2^32, where a float beside a zero looks like one of them; so blocks are mapped, far
// above. Behind each is a page that nobody may touch. AddressSanitizer's heap lies as far up, and it finds what is read
// beyond a block.
#if defined(__SANITIZE_ADDRESS__)
char* make_block(size_t size_bytes) { return new char[size_bytes]; }
void free_block(char* block, size_t) { delete[] block; }
#else
constexpr size_t kPageBytes = 4096;
size_t mapped_bytes(size_t size_bytes) { return (size_bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

char* make_block(size_t size_bytes) {
  const size_t bytes = mapped_bytes(size_bytes);
  void* block = mmap(nullptr, bytes + kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED || mprotect(static_cast<char*>(block) + bytes, kPageBytes, PROT_NONE) != 0) std::abort();
  return static_cast<char*>(block);
}
void free_block(char* block, size_t size_bytes) { munmap(block, mapped_bytes(size_bytes) + kPageBytes); }
#endif

/// Allocates from a pool or, where `pool` is null, from the driver.
cudaError_t allocate(void** data, size_t size_bytes, FakePool* pool) {
  const int device = fake::current_device();
  const std::shared_ptr<fake::Shared> shared = pool ? nullptr : fake::Shared::make(size_bytes);
  if (!pool && !shared) return cudaErrorMemoryAllocation;
  const size_t kept_bytes = pool ? pool->kept_bytes - pool->used_bytes : 0;
  if (size_bytes > kept_bytes) {
    const size_t missing_bytes = size_bytes - kept_bytes;
    if (missing_bytes > free_bytes_of(device)) return cudaErrorMemoryAllocation;
    state().taken_bytes[device] += missing_bytes;
    if (pool) pool->kept_bytes += missing_bytes;
    if (pool) state().calls["a pool grows"]++;
  }
  if (pool) pool->used_bytes += size_bytes;
  char* memory = pool ? make_block(size_bytes) : static_cast<char*>(shared->data());
  std::memset(memory, 0xff, size_bytes);  // so that tests see a read before the first write
  state().allocations[memory] = {size_bytes, device, pool, shared, {}, 0};
  *data = memory;
  return cudaSuccess;
}

void release(void* data, bool pooled) {
  fake::State& s = state();
  const auto it = s.allocations.find(static_cast<char*>(data));
  if (it == s.allocations.end() || (it->second.pool != nullptr) != pooled || it->second.opened > 0) {
    fake::wrong_address(
        "memory is freed that is not allocated, or by the wrong function, or that another process has opened");
    return;
  }
  if (pooled) it->second.pool->used_bytes -= it->second.size_bytes;
  else s.taken_bytes[it->second.device] -= it->second.size_bytes;
  char* const memory = it->first;
  const size_t size_bytes = it->second.size_bytes;
  s.allocations.erase(it);
  if (pooled) free_block(memory, size_bytes);
}

void trim(FakePool& pool, size_t keep_bytes) {
  const size_t kept_bytes = std::max(pool.used_bytes, std::min(pool.kept_bytes, keep_bytes));
  state().taken_bytes[pool.device] -= pool.kept_bytes - kept_bytes;
  pool.kept_bytes = kept_bytes;
}

/// An error unless all of it is allocated now.
void expect_device_memory(const void* data, size_t size_bytes) {
  if (!fake::is_device_memory(data, size_bytes))
    fake::wrong_address("a copy uses memory that is not the device's, or no longer");
}

void expect_pinned(const void* data) {
  if (state().pinned.count(const_cast<char*>(static_cast<const char*>(data))) == 0) {
    fake::wrong_address("an asynchronous copy uses host memory that is not pinned");  // CUDA would let the caller wait
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

bool is_elsewhere(const void* address, int device) {
  char* at = static_cast<char*>(const_cast<void*>(address));
  const auto next = state().allocations.upper_bound(at);
  if (next == state().allocations.begin()) return false;
  const auto& [begin, allocation] = *std::prev(next);
  return at < begin + allocation.size_bytes && allocation.device != device;
}

size_t allocated_bytes() {
  const Call call("allocated_bytes");
  size_t sum = 0;
  for (const auto& [address, allocation] : state().allocations) sum += allocation.opened ? 0 : allocation.size_bytes;
  return sum;
}

size_t pinned_bytes() {
  const Call call("pinned_bytes");
  size_t sum = 0;
  for (const auto& [address, size_bytes] : state().pinned) sum += size_bytes;
  return sum;
}

void trim_pools() {
  for (FakePool* pool : state().pools) trim(*pool, pool->threshold_bytes);
}

}  // namespace fake

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  const Call call(__func__);
  *total_bytes = state().total_bytes;
  *free_bytes = free_bytes_of(fake::current_device());
  return call.result();
}
cudaError_t cudaMemPoolCreate(cudaMemPool_t* made, const cudaMemPoolProps* properties) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  state().pools.insert(*made = new FakePool);
  (*made)->device = properties->location.id;
  return call.result();
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  const Call call(__func__);
  state().pools.erase(pool);
  delete pool;
  return call.result();
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr, void* threshold_bytes) {
  const Call call(__func__);
  if (!call.fails()) std::memcpy(&pool->threshold_bytes, threshold_bytes, sizeof(uint64_t));
  return call.result();
}
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t pool, size_t keep_bytes) {
  const Call call(__func__);
  if (!call.fails()) trim(*pool, keep_bytes);
  return call.result();
}
cudaError_t cudaMallocFromPoolAsync(void** data, size_t size_bytes, cudaMemPool_t pool, cudaStream_t stream) {
  const Call call(__func__);
  if (fake::stream_of(stream)->device != pool->device) return call.result(cudaErrorInvalidValue);
  return call.result(call.fails() ? cudaSuccess : allocate(data, size_bytes, pool));
}
cudaError_t cudaMalloc(void** data, size_t size_bytes) {
  const Call call(__func__);
  return call.result(call.fails() ? cudaSuccess : allocate(data, size_bytes, nullptr));
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  return fake::enqueue(stream, [data] { return release(data, true), cudaSuccess; });
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
  return fake::enqueue(stream, [=] {
    expect_device_memory(data, size_bytes);
    if (state().fault == cudaSuccess) std::memset(data, value, size_bytes);
    return cudaSuccess;
  });
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
  return fake::enqueue(stream, [=] {
    if (kind == cudaMemcpyHostToDevice) expect_pinned(from);
    else expect_device_memory(from, size_bytes);
    if (kind == cudaMemcpyDeviceToHost) expect_pinned(to);
    else expect_device_memory(to, size_bytes);
    if (state().fault == cudaSuccess) std::memcpy(to, from, size_bytes);
    return cudaSuccess;
  });
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
  if (it == state().allocations.end() || it->second.pool || it->second.opened)
    return call.result(cudaErrorInvalidValue);
  // CUDA puts allocations of other sizes into common blocks of 2 MB, all of which a handle exposes.
  if (it->second.size_bytes % (size_t{2} << 20) != 0) state().calls["a handle exposes neighbours"]++;
  fake::SharedName name = it->second.shared->name();
  name.device = it->second.device;
  *handle = {};
  std::memcpy(handle->reserved, &name, sizeof name);
  return call.result();
}
cudaError_t cudaIpcOpenMemHandle(void** data, cudaIpcMemHandle_t handle, unsigned) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  fake::SharedName name;
  std::memcpy(&name, handle.reserved, sizeof name);
  if (fake::is_own(name)) return call.result(cudaErrorDeviceUninitialized);
  for (auto& [address, allocation] : state().allocations) {
    if (!allocation.opened || std::memcmp(&allocation.opened_as, &name, sizeof name) != 0) continue;
    allocation.opened++;
    *data = address;
    return call.result();
  }
  const auto shared = fake::Shared::open(name);
  if (!shared) return call.result(cudaErrorInvalidResourceHandle);
  *data = shared->data();
  state().allocations[static_cast<char*>(*data)] = {
      shared->size_bytes(), static_cast<int>(name.device), nullptr, shared, name, 1};
  return call.result();
}
cudaError_t cudaIpcCloseMemHandle(void* data) {
  const Call call(__func__);
  const auto it = state().allocations.find(static_cast<char*>(data));
  if (it == state().allocations.end() || !it->second.opened) return call.result(cudaErrorInvalidValue);
  if (--it->second.opened == 0) state().allocations.erase(it);
  return call.result();
}
