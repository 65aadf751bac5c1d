#pragma once
// A launch as the emulator of kernels hands it to the fake runtime.
#include <cuda_runtime.h>

#include <functional>
#include <vector>

struct BoundKernel {
  cudaError_t status = cudaSuccess;   // why CUDA would refuse the launch
  std::function<cudaError_t()> work;  // with copies of the arguments
  std::vector<const void*> words;     // of the arguments: among them, the pointers
};
