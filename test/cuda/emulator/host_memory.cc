// Device memory for bench/gpu/engine.cc in the emulator: the host's.
#include <cstdlib>

#include "simt.h"

cudaError_t cudaMalloc(void** data, size_t size_bytes) {
  *data = std::malloc(size_bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void* data) {
  std::free(data);
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t) { return "an error of the emulator"; }
