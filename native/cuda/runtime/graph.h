#pragma once
// A CUDA graph of what an enqueuing function launches, made once and launched as one.
#include <functional>
#include <vector>

#include "cuda/runtime/recorder.h"
#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

/// A chain of nodes, in the order of the launches.
class Graph {
 public:
  /// Launches by launch() and zero() of device_api.h, and nothing else. Given again to update(), it launches the same
  /// kernels in the same order.
  using Enqueue = std::function<cudaError_t()>;

  Graph(int device, const Enqueue& enqueue);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  /// Gives every node its arguments anew. Launches that are under way keep theirs. When it throws, launch() throws as
  /// well until another update has succeeded: some nodes would have new arguments, others old ones.
  void update(const Enqueue& enqueue);

  /// Enqueues everything by one call.
  void launch(const Stream& stream);

 private:
  const int device_;
  std::vector<cudaGraphNode_t> nodes_;
  bool is_whole_ = true;         // all nodes have the arguments of one call
  cudaGraph_t graph_ = nullptr;  // kept: the nodes are its
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace warpdice::cuda
