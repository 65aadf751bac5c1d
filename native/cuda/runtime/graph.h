#pragma once
// A CUDA graph of all that a function launches: made once, then launched by one call.
#include <functional>
#include <vector>

#include "cuda/runtime/recorder.h"
#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

/// A chain of nodes in the order of the launches.
class Graph {
 public:
  /// A function that launches by launch() and zero() of device_api.h and by Recorder::capture(), and does nothing else
  /// on the device. The one that update() gets launches the same kernels in the same order, and captures the same work.
  using Enqueue = std::function<cudaError_t()>;

  Graph(int device, const Enqueue& enqueue);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  /// Gives every node new arguments. Launches that are queued or running keep theirs. After an update that throws, some
  /// nodes have new arguments and others old ones, so launch() throws until an update succeeds.
  void update(const Enqueue& enqueue);

  /// Enqueues the whole chain.
  void launch(const Stream& stream);

 private:
  const int device_;
  std::vector<cudaGraphNode_t> nodes_;
  bool is_whole_ = true;         // all nodes have the arguments of one call
  cudaGraph_t graph_ = nullptr;  // owns the nodes
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace warpdice::cuda
