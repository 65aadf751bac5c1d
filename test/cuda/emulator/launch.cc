// Launches of kernels as CUDA's runtime sees them: the address of a function, a grid, and pointers to its arguments.
#include <map>
#include <mutex>
#include <set>

#include "simt.h"

namespace simt {
namespace {

/// What a launch may use unless its function was allowed more.
constexpr size_t kAlwaysAllowedBytes = 48 * 1024;

struct Registry {
  std::mutex mutex;
  std::map<const void*, Kernel> kernels;
  std::map<std::pair<const void*, int>, size_t> allowed_bytes;  // of a function on a device
  std::set<std::pair<const void*, int>> loaded;                 // likewise
};

Registry& registry() {
  static auto* only = new Registry;
  return *only;
}

int device() {
  int current = 0;
  cudaGetDevice(&current);
  return current;
}

/// Loads a kernel that is used first.
cudaError_t use(const void* function, bool asked) {
  const int on = device();
  {
    const std::lock_guard<std::mutex> lock(registry().mutex);
    if (registry().kernels.count(function) == 0) return cudaErrorInvalidDeviceFunction;
    if (!registry().loaded.insert({function, on}).second) return cudaSuccess;
  }
  return loading ? loading(asked) : cudaSuccess;
}

bool can_launch(dim3 grid, dim3 block) {
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  constexpr unsigned kMaxThreads = 1024, kMaxY = 65535;
  return threads > 0 && threads <= kMaxThreads && grid.x > 0 && grid.x <= 0x7fffffff && grid.y - 1 < kMaxY &&
         grid.z - 1 < kMaxY;
}

}  // namespace

Executor executor = nullptr;
Loading loading = nullptr;

void unload_kernels() {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  registry().loaded.clear();
}

void know(const void* function, const Kernel& kernel) {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  registry().kernels.emplace(function, kernel);
}

std::vector<Kernel::Size> argument_sizes(const void* function) {
  const std::lock_guard<std::mutex> lock(registry().mutex);
  return registry().kernels.at(function).sizes;
}

BoundKernel bind(const cudaKernelNodeParams& launch) {
  use(launch.func, false);
  Registry& known = registry();
  const int on = device();  // before the lock: the fake runtime has one of its own, under which it calls this
  const std::lock_guard<std::mutex> lock(known.mutex);
  const auto found = known.kernels.find(launch.func);
  if (found == known.kernels.end()) return {cudaErrorInvalidDeviceFunction, {}, {}};
  const auto limit = known.allowed_bytes.find({launch.func, on});
  const size_t allowed_bytes = limit == known.allowed_bytes.end() ? kAlwaysAllowedBytes : limit->second;
  if (!can_launch(launch.gridDim, launch.blockDim)) return {cudaErrorInvalidConfiguration, {}, {}};
  if (launch.sharedMemBytes > allowed_bytes) return {cudaErrorInvalidValue, {}, {}};
  const Kernel& kernel = found->second;
  for (size_t i = 0; i < kernel.sizes.size(); i++) {
    const auto address = reinterpret_cast<uintptr_t>(launch.kernelParams[i]);
    if (address % kernel.sizes[i].alignment != 0) return {cudaErrorMisalignedAddress, {}, {}};
  }
  const auto run = [body = kernel.bind(launch.func, launch.kernelParams), grid = launch.gridDim,
                    block = launch.blockDim,
                    shared_bytes = launch.sharedMemBytes] { return run_grid(body, grid, block, shared_bytes); };
  return {cudaSuccess, run, kernel.words(launch.kernelParams)};
}

}  // namespace simt

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, size_t shared_bytes,
                             cudaStream_t stream) {
  const BoundKernel bound =
      simt::bind({const_cast<void*>(function), grid, block, static_cast<unsigned>(shared_bytes), arguments, nullptr});
  if (simt::executor) return simt::executor(stream, bound);
  return bound.status == cudaSuccess ? bound.work() : bound.status;
}

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute, int value) {
  const size_t bytes = static_cast<size_t>(value);
  if (value < 0 || bytes > simt::config().shared_bytes_per_block) return cudaErrorInvalidValue;
  simt::use(function, false);
  const int on = simt::device();
  const std::lock_guard<std::mutex> lock(simt::registry().mutex);
  simt::registry().allowed_bytes[{function, on}] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  *attributes = {};
  return simt::use(function, true);
}
