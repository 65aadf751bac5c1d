#include "cuda/runtime/graph.h"

namespace warpdice::cuda {
namespace {

cudaMemsetParams zeros(void* data, size_t size_bytes) {
  cudaMemsetParams node = {};
  node.dst = data;
  node.elementSize = 1;
  node.width = size_bytes;
  node.height = 1;
  return node;
}

/// The graph of what `work` enqueues. Throws what `work` throws.
cudaGraph_t captured(int device, const std::function<void(cudaStream_t)>& work) {
  const auto stream = Stream::create(device);
  cudaGraph_t graph = nullptr;
  check(cudaStreamBeginCapture(stream->handle(), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  try {
    work(stream->handle());
  } catch (...) {
    cudaStreamEndCapture(stream->handle(), &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();  // clears the error, or a later call would report it
    throw;
  }
  check(cudaStreamEndCapture(stream->handle(), &graph), "cudaStreamEndCapture");
  return graph;
}

/// Adds a node for each launch, after the node of the launch before.
class Builder : public Recorder {
 public:
  Builder(int device, cudaGraph_t graph, std::vector<cudaGraphNode_t>& nodes)
      : device_(device), graph_(graph), nodes_(nodes) {}

  cudaError_t kernel(const cudaKernelNodeParams& params) override {
    cudaGraphNode_t node = nullptr;
    const cudaError_t status = cudaGraphAddKernelNode(&node, graph_, before(), nodes_.empty() ? 0 : 1, &params);
    if (status == cudaSuccess) nodes_.push_back(node);
    return status;
  }
  cudaError_t zero(void* data, size_t size_bytes) override {
    cudaGraphNode_t node = nullptr;
    const cudaMemsetParams params = zeros(data, size_bytes);
    const cudaError_t status = cudaGraphAddMemsetNode(&node, graph_, before(), nodes_.empty() ? 0 : 1, &params);
    if (status == cudaSuccess) nodes_.push_back(node);
    return status;
  }
  cudaError_t capture(const std::function<void(cudaStream_t)>& work) override {
    const cudaGraph_t part = captured(device_, work);
    cudaGraphNode_t node = nullptr;
    const cudaError_t status = cudaGraphAddChildGraphNode(&node, graph_, before(), nodes_.empty() ? 0 : 1, part);
    cudaGraphDestroy(part);  // the node has a copy
    if (status == cudaSuccess) nodes_.push_back(node);
    return status;
  }

 private:
  const cudaGraphNode_t* before() const { return nodes_.empty() ? nullptr : &nodes_.back(); }

  const int device_;
  const cudaGraph_t graph_;
  std::vector<cudaGraphNode_t>& nodes_;
};

/// Gives the n-th node the arguments of the n-th launch.
class Updater : public Recorder {
 public:
  Updater(cudaGraphExec_t executable, const std::vector<cudaGraphNode_t>& nodes)
      : executable_(executable), nodes_(nodes) {}

  cudaError_t kernel(const cudaKernelNodeParams& params) override {
    if (next_ == nodes_.size()) return cudaErrorInvalidValue;
    return cudaGraphExecKernelNodeSetParams(executable_, nodes_[next_++], &params);
  }
  cudaError_t zero(void* data, size_t size_bytes) override {
    if (next_ == nodes_.size()) return cudaErrorInvalidValue;
    const cudaMemsetParams params = zeros(data, size_bytes);
    return cudaGraphExecMemsetNodeSetParams(executable_, nodes_[next_++], &params);
  }
  cudaError_t capture(const std::function<void(cudaStream_t)>&) override {
    return next_++ < nodes_.size() ? cudaSuccess : cudaErrorInvalidValue;
  }

  bool is_done() const { return next_ == nodes_.size(); }

 private:
  const cudaGraphExec_t executable_;
  const std::vector<cudaGraphNode_t>& nodes_;
  size_t next_ = 0;
};

/// Runs `enqueue` while `to` records this thread's launches.
void record(Recorder& to, const Graph::Enqueue& enqueue, const char* call) {
  const auto status = [&] {
    const Recording recording(to);
    return enqueue();
  }();
  check(status, call);
}

}  // namespace

Graph::Graph(int device, const Enqueue& enqueue) : device_(device) {
  use_device(device);
  try {
    check(cudaGraphCreate(&graph_, 0), "cudaGraphCreate");
    Builder builder(device, graph_, nodes_);
    record(builder, enqueue, "cudaGraphAddKernelNode");
    check(cudaGraphInstantiate(&executable_, graph_, 0), "cudaGraphInstantiate");
  } catch (...) {
    if (graph_) cudaGraphDestroy(graph_);
    throw;
  }
}

Graph::~Graph() {
  const DeviceScope scope(device_);
  cudaGraphExecDestroy(executable_);  // cuda.h: a graph that still runs is freed when it has completed
  cudaGraphDestroy(graph_);
}

void Graph::update(const Enqueue& enqueue) {
  use_device(device_);
  is_whole_ = false;
  Updater updater(executable_, nodes_);
  record(updater, enqueue, "cudaGraphExecKernelNodeSetParams");
  if (!updater.is_done()) throw Error("ERR_CUDA", "Expected as many launches as the graph has");
  is_whole_ = true;
}

void Graph::launch(const Stream& stream) {
  if (!is_whole_) throw Error("ERR_CUDA", "Expected a graph whose last update succeeded");
  use_device(device_);
  check(cudaGraphLaunch(executable_, stream.handle()), "cudaGraphLaunch");
}

}  // namespace warpdice::cuda
