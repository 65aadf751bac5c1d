// What the kernels need of CUDA's runtime in programs without the fake one: one device, whose work is done at once, on
// any memory.
#include <cstring>

#include "simt.h"

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* data, int value, size_t size_bytes, cudaStream_t) {
  std::memset(data, value, size_bytes);
  return cudaSuccess;
}
