#pragma once
// What a failed call of CUDA's runtime becomes: an Error with CUDA's name and text, and the call.
#include <cuda_runtime.h>

#include <string>

#include "math/error.h"

namespace warpdice::cuda {

/// Whether the fault ends the context: every later call on any device memory of this process fails as well.
inline bool is_sticky(cudaError_t status) {
  switch (status) {
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

/// ERR_CUDA in words. call: the function that returned `status`; it may report the fault of an earlier kernel.
inline Error cuda_error(cudaError_t status, const char* call) {
  std::string message =
      std::string(call) + " failed with " + cudaGetErrorName(status) + ": " + cudaGetErrorString(status);
  if (is_sticky(status)) message += "; the CUDA context of this process is lost, only the CPU goes on";
  return Error("ERR_CUDA", message);
}

/// Throws unless `status` is success.
inline void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // a later call must not find this one's error
  throw cuda_error(status, call);
}

/// Every entry begins with it: the current device is a thread's, not the process's.
inline void use_device(int device) { check(cudaSetDevice(device), "cudaSetDevice"); }

}  // namespace warpdice::cuda
