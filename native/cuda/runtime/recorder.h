#pragma once
// Launches as nodes of a graph: while a thread has a recorder, launch() and zero() give it what they would enqueue.
// Explicit nodes instead of stream capture, so that a graph's pointers can be changed without a new capture.
#include <cuda_runtime.h>

#include <cstddef>

namespace warpdice::cuda {

class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual cudaError_t kernel(const cudaKernelNodeParams& node) = 0;
  virtual cudaError_t zero(void* data, size_t size_bytes) = 0;
};

/// Of this thread; null: launches go to their stream.
inline thread_local Recorder* recorder = nullptr;

}  // namespace warpdice::cuda
