#pragma once
// Turns a failed call of CUDA's runtime into an Error with CUDA's name and text, and the name of the call.
#include <cuda_runtime.h>

#include <string>

#include "math/error.h"

namespace warpdice::cuda {

/// Whether the error ends the CUDA context: every later call of this process then fails too. These are the errors of
/// which driver_types.h of CUDA 13.0 says so, and that of uncorrectable memory.
inline bool is_sticky(cudaError_t status) {
  // By number: older toolkits do not have the names.
  constexpr int kContained = 226, kTensorMemoryLeak = 721, kMpsClientTerminated = 810, kExternalDevice = 911;
  switch (static_cast<int>(status)) {
    case kContained:
    case kTensorMemoryLeak:
    case kMpsClientTerminated:
    case kExternalDevice:
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
      return true;
    default:
      return false;
  }
}

/// An ERR_CUDA. call: the function that returned `status`, which may be the error of an earlier kernel.
inline Error cuda_error(cudaError_t status, const char* call) {
  std::string message =
      std::string(call) + " failed with " + cudaGetErrorName(status) + ": " + cudaGetErrorString(status);
  if (is_sticky(status)) message += "; the CUDA context of this process is lost, only the CPU goes on";
  return Error("ERR_CUDA", message);
}

/// Throws unless `status` is success.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears the error, or a later call would report it
  throw cuda_error(status, call);
}

/// Every function of the runtime begins with this, because each thread has a current device of its own.
inline void use_device(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

/// Makes a device current, and at its end the one before. For destructors: the garbage collector runs them between any
/// two calls, of this library and of others. They have nobody to report an error to.
class DeviceScope {
 public:
  explicit DeviceScope(int device) {
    if (cudaGetDevice(&before_) != cudaSuccess) before_ = device;
    if (before_ != device) cudaSetDevice(device);
  }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;
  ~DeviceScope() {
    int now = before_;
    cudaGetDevice(&now);
    if (now != before_) cudaSetDevice(before_);
    cudaGetLastError();  // clears the error, or a later call would report it
  }

 private:
  int before_ = 0;
};

}  // namespace warpdice::cuda
