#pragma once
// While a thread has a recorder, launch() and zero() pass it what they would enqueue. graph.cc makes nodes of a graph
// of that: with explicit nodes instead of stream capture a graph gets new pointers without a new capture. loader.cc
// loads the kernels.
#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

namespace warpdice::cuda {

class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual cudaError_t kernel(const cudaKernelNodeParams& node) = 0;
  virtual cudaError_t zero(void* data, size_t size_bytes) = 0;
  /// Work that another library enqueues on the stream that `work` gets: one node, whose arguments never change.
  virtual cudaError_t capture(const std::function<void(cudaStream_t)>& work) = 0;
};

/// The recorder of this thread. Null: launches go to their stream.
inline thread_local Recorder* recorder = nullptr;

/// Makes a recorder that of this thread until the end of a scope, which an exception may end.
class Recording {
 public:
  explicit Recording(Recorder& to) { recorder = &to; }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() { recorder = nullptr; }
};

}  // namespace warpdice::cuda
