// Errors and devices of the fake CUDA runtime.
#include <condition_variable>
#include <cstring>

#include "state.h"

namespace fake {
namespace {

std::recursive_mutex& mutex() {
  static auto* only = new std::recursive_mutex;
  return *only;
}

struct HeldLoads {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
};

HeldLoads& held_loads() {
  static auto* only = new HeldLoads;
  return *only;
}

thread_local int device_of_thread = 0;
thread_local cudaError_t last_error = cudaSuccess;

}  // namespace

State& state() {
  static auto* only = new State;
  return *only;
}

cudaError_t wrong_address(const std::string& reason) {
  state().reason = reason;
  return state().fault = cudaErrorIllegalAddress;
}

Call::Call(const char* name) : lock_(mutex()), status_(state().fault) {
  state().calls[name]++;
  const auto planted = state().planted.find(name);
  if (planted == state().planted.end() || planted->second.after-- > 0) return;
  status_ = planted->second.status;
  state().planted.erase(planted);
}

cudaError_t Call::result(cudaError_t status) const {
  if (status_ != cudaSuccess) status = status_;
  else if (state().fault != cudaSuccess) status = state().fault;  // of work that this call has run
  if (status != cudaSuccess && status != cudaErrorNotReady) last_error = status;
  return status;
}

int current_device() { return device_of_thread; }

void set_total_bytes(size_t bytes) { state().total_bytes = bytes; }
void set_pools_supported(bool supported) { state().pools_supported = supported; }
void set_devices(int count, int driver_version, cudaError_t error) {
  const Call call("set_devices");
  state().devices = count;
  state().driver_version = driver_version;
  state().device_error = error;
}
void set_fault(cudaError_t status) {
  const Call call("set_fault");
  state().fault = status;
  state().reason.clear();
  last_error = status;
}
void fail_next(const std::string& name, cudaError_t status, int after) {
  const Call call("fail_next");
  state().planted[name] = {status, after};
}
cudaError_t load_kernel(bool asked) {
  if (asked) {  // without the lock: the driver compiles while other threads call it
    std::unique_lock<std::mutex> lock(held_loads().mutex);
    held_loads().changed.wait(lock, [] { return !held_loads().held; });
  }
  const Call call(asked ? "cudaFuncGetAttributes" : "load by a launch");
  return call.result();
}
void hold_loads(bool held) {
  const std::lock_guard<std::mutex> lock(held_loads().mutex);
  held_loads().held = held;
  held_loads().changed.notify_all();
}
int calls(const std::string& name) {
  const Call call("calls");
  return state().calls[name];
}

}  // namespace fake

using fake::Call;
using fake::state;

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorDeviceUninitialized:
      return "cudaErrorDeviceUninitialized";
    default:
      return "cudaErrorOfTheFake";
  }
}
const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInsufficientDriver:
      return "CUDA driver version is insufficient for CUDA runtime version";
    default:
      return state().reason.empty() ? "fake error" : state().reason.c_str();
  }
}
cudaError_t cudaGetLastError() {
  const Call call(__func__);
  const cudaError_t status = fake::last_error;
  fake::last_error = state().fault;
  return status;
}
cudaError_t cudaDriverGetVersion(int* version) {
  const Call call(__func__);
  *version = state().driver_version;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  const Call call(__func__);
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  const Call call(__func__);
  *count = state().devices;
  return call.result(state().device_error);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  const Call call(__func__);
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = 9;
  properties->totalGlobalMem = state().total_bytes;
  return call.result();
}
cudaError_t cudaSetDevice(int device) {
  const Call call(__func__);
  if (device < 0 || device >= state().devices) return call.result(cudaErrorInvalidDevice);
  fake::device_of_thread = device;
  return call.result();
}
cudaError_t cudaGetDevice(int* device) {
  const Call call(__func__);
  *device = fake::device_of_thread;
  return call.result();
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  const Call call(__func__);
  *value = attribute == cudaDevAttrMemoryPoolsSupported ? state().pools_supported : 227 * 1024;
  return call.result();
}
cudaError_t cudaDeviceSynchronize() {
  const Call call(__func__);
  fake::progress();
  fake::trim_pools();
  return call.result();
}
