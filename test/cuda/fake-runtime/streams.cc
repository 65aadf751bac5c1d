// Streams, events and graphs of the fake CUDA runtime.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "state.h"

/// How often an event was recorded, and how many of these records were reached. It outlives cudaEventDestroy.
struct Marks {
  std::atomic<int> recorded{0}, reached{0};
};
struct FakeEvent {
  std::shared_ptr<Marks> marks;
  int device = 0;
  std::shared_ptr<fake::Shared> shared;  // the memory of the marks, where other processes can open the event
};

/// Marks in shared memory, which starts as 0.
static std::shared_ptr<Marks> marks_in(const std::shared_ptr<fake::Shared>& shared) {
  return {shared, static_cast<Marks*>(shared->data())};
}

using Work = std::function<cudaError_t()>;
struct FakeNode {
  Work run;
};
struct FakeGraph {
  std::vector<std::unique_ptr<FakeNode>> nodes;
};
struct FakeGraphExec {
  std::vector<FakeNode*> order;
  std::map<FakeNode*, Work> work;
};

using fake::Call;
using fake::state;

bool FakeStream::work_on() {
  bool moved = false;
  while ((!held || allowed > 0) && !work.empty() && work.front()()) {
    work.pop_front();
    if (held) allowed--;
    moved = true;
  }
  return moved;
}

namespace fake {

void progress(FakeStream* stream) {
  stream->work_on();
  if (!stream->work.empty()) progress();
}

void progress() {
  for (bool moved = true; moved;) {
    moved = false;
    std::set<FakeStream*>& streams = state().streams;
    for (auto it = streams.begin(); it != streams.end();) {
      FakeStream* stream = *it;
      if (stream->work_on()) moved = true;
      if (stream->destroyed && stream->work.empty()) {
        it = streams.erase(it);
        delete stream;
      } else {
        ++it;
      }
    }
  }
}

cudaStream_t default_stream(int device) {
  const Call call("default_stream");
  FakeStream*& stream = state().default_streams[device];
  if (stream) return stream;
  state().streams.insert(stream = new FakeStream);
  stream->device = device;
  return stream;
}

FakeStream* stream_of(cudaStream_t handle) { return handle ? handle : default_stream(current_device()); }

cudaError_t enqueue(cudaStream_t handle, Work work) {
  const Call call("enqueue");
  FakeStream* stream = stream_of(handle);
  if (state().streams.count(stream) == 0) return call.result(cudaErrorInvalidResourceHandle);
  if (stream->device != current_device()) return call.result(cudaErrorInvalidResourceHandle);  // as launches
  if (call.fails()) return call.result();
  if (stream->captures) {
    stream->captures->nodes.push_back(std::make_unique<FakeNode>(FakeNode{std::move(work)}));
    return call.result();
  }
  stream->work.push_back([work = std::move(work)]() mutable {
    if (state().fault != cudaSuccess) return true;
    const cudaError_t status = work();
    if (status == cudaErrorNotReady) return false;
    if (status != cudaSuccess) state().fault = status;
    return true;
  });
  return call.result();
}

BoundKernel (*bind_kernel)(const cudaKernelNodeParams&) = nullptr;

/// What a stream does to run a kernel. It reads no memory of another device: nobody enables peer access.
static Work kernel_work(const BoundKernel& kernel, int device) {
  return [kernel, device] {
    for (size_t i = 0; i < kernel.words.size(); i++) {
      if (is_elsewhere(kernel.words[i], device)) {
        return wrong_address("an argument of a kernel on device " + std::to_string(device) +
                             " is memory of another: word " + std::to_string(i) + " of " +
                             std::to_string(kernel.words.size()));
      }
    }
    return kernel.work();
  };
}

cudaError_t launch(cudaStream_t stream, const BoundKernel& kernel) {
  const Call call("cudaLaunchKernel");
  if (call.fails() || kernel.status != cudaSuccess) return call.result(kernel.status);
  return enqueue(stream, kernel_work(kernel, current_device()));
}

void hold(cudaStream_t stream, bool held) {
  const Call call("hold");
  stream->held = held;
  stream->allowed = 0;
}

void allow(cudaStream_t stream, int count) {
  const Call call("allow");
  stream->allowed = count;
  progress();
}

}  // namespace fake

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* made, unsigned) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  state().streams.insert(*made = new FakeStream);
  (*made)->device = fake::current_device();
  return call.result();
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Call call(__func__);
  stream->destroyed = true;
  fake::progress();
  return call.result();
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Call call(__func__);
  fake::progress(fake::stream_of(stream));  // tests never wait for a held stream
  fake::trim_pools();
  return call.result();
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  fake::stream_of(stream)->work.push_back([marks = event->marks, recorded = event->marks->recorded.load()] {
    return marks->reached >= recorded || state().fault != cudaSuccess;
  });
  return call.result();
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* made, unsigned flags) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  *made = new FakeEvent{std::make_shared<Marks>(), fake::current_device(), nullptr};
  if (!(flags & cudaEventInterprocess)) return call.result();
  (*made)->shared = fake::Shared::make(sizeof(Marks));
  if (!(*made)->shared) return call.result(cudaErrorMemoryAllocation);
  (*made)->marks = marks_in((*made)->shared);
  return call.result();
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Call call(__func__);
  delete event;
  return call.result();
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  FakeStream* to = fake::stream_of(stream);
  if (event->device != to->device) return call.result(cudaErrorInvalidResourceHandle);
  const int record = ++event->marks->recorded;
  to->work.push_back([marks = event->marks, record] { return marks->reached = record, true; });
  return call.result();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Call call(__func__);
  fake::progress();
  return call.result(event->marks->reached >= event->marks->recorded ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  const Call call(__func__);
  fake::progress();  // as cudaStreamSynchronize
  fake::trim_pools();
  return call.result();
}
cudaError_t cudaIpcGetEventHandle(cudaIpcEventHandle_t* handle, cudaEvent_t event) {
  const Call call(__func__);
  if (!event->shared) return call.result(cudaErrorInvalidResourceHandle);
  const fake::SharedName name = event->shared->name();
  *handle = {};
  std::memcpy(handle->reserved, &name, sizeof name);
  return call.result();
}
cudaError_t cudaIpcOpenEventHandle(cudaEvent_t* made, cudaIpcEventHandle_t handle) {
  const Call call(__func__);
  fake::SharedName name;
  std::memcpy(&name, handle.reserved, sizeof name);
  if (fake::is_own(name)) return call.result(cudaErrorDeviceUninitialized);
  const auto shared = fake::Shared::open(name);
  if (!shared) return call.result(cudaErrorInvalidResourceHandle);
  *made = new FakeEvent{marks_in(shared), fake::current_device(), nullptr};
  return call.result();
}

// --- graphs -----------------------------------------------------------------------------------------------

namespace {

Work memset_work(const cudaMemsetParams& to) {
  return [to] {
    const size_t size_bytes = to.width * to.elementSize;
    if (to.height != 1 || !fake::is_device_memory(to.dst, size_bytes)) {
      return fake::wrong_address("a graph sets memory that is not the device's, or no longer");
    }
    std::memset(to.dst, static_cast<int>(to.value), size_bytes);
    return cudaSuccess;
  };
}

/// Adds a node, which must come after the last one.
cudaError_t add_node(const Call& call, cudaGraphNode_t* made, cudaGraph_t graph, const cudaGraphNode_t* after,
                     size_t count, Work work) {
  if (call.fails()) return call.result();
  const bool chained = graph->nodes.empty() ? count == 0 : count == 1 && after[0] == graph->nodes.back().get();
  if (!chained) return call.result(cudaErrorInvalidValue);
  graph->nodes.push_back(std::make_unique<FakeNode>(FakeNode{std::move(work)}));
  *made = graph->nodes.back().get();
  return call.result();
}

cudaError_t set_node(const Call& call, cudaGraphExec_t exec, cudaGraphNode_t node, Work work) {
  if (call.fails()) return call.result();
  const auto it = exec->work.find(node);
  if (it == exec->work.end()) return call.result(cudaErrorInvalidValue);
  it->second = std::move(work);
  return call.result();
}

}  // namespace

cudaError_t cudaGraphCreate(cudaGraph_t* made, unsigned) {
  const Call call(__func__);
  if (!call.fails()) *made = new FakeGraph;
  return call.result();
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const Call call(__func__);
  delete graph;
  return call.result();
}
cudaError_t cudaGraphAddKernelNode(cudaGraphNode_t* made, cudaGraph_t graph, const cudaGraphNode_t* after, size_t count,
                                   const cudaKernelNodeParams* node) {
  const Call call(__func__);
  const BoundKernel kernel = fake::bind_kernel(*node);
  if (kernel.status != cudaSuccess) return call.result(kernel.status);
  return add_node(call, made, graph, after, count, fake::kernel_work(kernel, fake::current_device()));
}
cudaError_t cudaGraphAddMemsetNode(cudaGraphNode_t* made, cudaGraph_t graph, const cudaGraphNode_t* after, size_t count,
                                   const cudaMemsetParams* node) {
  return add_node(Call(__func__), made, graph, after, count, memset_work(*node));
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  if (stream->captures) return call.result(cudaErrorInvalidValue);
  stream->captures = new FakeGraph;
  return call.result();
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* made) {
  const Call call(__func__);
  *made = std::exchange(stream->captures, nullptr);
  if (!*made || !call.fails()) return call.result(*made ? cudaSuccess : cudaErrorInvalidValue);
  delete std::exchange(*made, nullptr);
  return call.result();
}
cudaError_t cudaGraphAddChildGraphNode(cudaGraphNode_t* made, cudaGraph_t graph, const cudaGraphNode_t* after,
                                       size_t count, cudaGraph_t child) {
  // One node: what the child's nodes do, one after the other.
  std::deque<Work> parts;
  for (const auto& node : child->nodes) parts.push_back(node->run);
  const auto run = [parts]() mutable {
    for (; !parts.empty(); parts.pop_front()) {
      if (const cudaError_t status = parts.front()(); status != cudaSuccess) return status;
    }
    return cudaSuccess;
  };
  return add_node(Call(__func__), made, graph, after, count, run);
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  *made = new FakeGraphExec;
  for (const auto& node : graph->nodes) {
    (*made)->order.push_back(node.get());
    (*made)->work[node.get()] = node->run;
  }
  return call.result();
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  const Call call(__func__);
  delete exec;
  return call.result();
}
cudaError_t cudaGraphExecKernelNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node,
                                             const cudaKernelNodeParams* to) {
  const Call call(__func__);
  const BoundKernel kernel = fake::bind_kernel(*to);
  if (kernel.status != cudaSuccess) return call.result(kernel.status);
  return set_node(call, exec, node, fake::kernel_work(kernel, fake::current_device()));
}
cudaError_t cudaGraphExecMemsetNodeSetParams(cudaGraphExec_t exec, cudaGraphNode_t node, const cudaMemsetParams* to) {
  return set_node(Call(__func__), exec, node, memset_work(*to));
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  const Call call(__func__);
  if (call.fails()) return call.result();
  // Copies the nodes as they are now: later changes do not affect this launch.
  cudaError_t status = cudaSuccess;
  for (size_t i = 0; i < exec->order.size() && status == cudaSuccess; i++) {
    status = fake::enqueue(stream, exec->work.at(exec->order[i]));
  }
  return call.result(status);
}
