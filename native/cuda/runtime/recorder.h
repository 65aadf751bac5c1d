#pragma once
// Records launches as nodes of a graph: while a thread has a recorder, launch() and zero() pass it what they would
// enqueue. With explicit nodes instead of stream capture a graph gets new pointers without a new capture.
#include <cuda_runtime.h>

#include <cstddef>

namespace warpdice::cuda {

class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual cudaError_t kernel(const cudaKernelNodeParams& node) = 0;
  virtual cudaError_t zero(void* data, size_t size_bytes) = 0;
};

/// The recorder of this thread. Null: launches go to their stream.
inline thread_local Recorder* recorder = nullptr;

}  // namespace warpdice::cuda
