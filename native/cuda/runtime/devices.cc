#include "cuda/runtime/devices.h"

#include "cuda/runtime/status.h"

namespace warpdice::cuda {

DeviceList list_devices() {
  DeviceList list;
  cudaDriverGetVersion(&list.driver_version);
  cudaRuntimeGetVersion(&list.runtime_version);
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    list.error = cudaGetErrorString(status);
    cudaGetLastError();  // clears the error, or a later call would report it
    return list;
  }
  for (int i = 0; i < count; i++) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) {
      list.error = cudaGetErrorString(cudaGetLastError());
      continue;
    }
    list.devices.push_back({i, properties.name, properties.major, properties.minor, properties.totalGlobalMem});
  }
  return list;
}

}  // namespace warpdice::cuda
