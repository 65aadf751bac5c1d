#include "cuda/plan.h"

#include <algorithm>

#include "cuda/runtime/transfer.h"

namespace warpdice::cuda {
namespace {

/// The two halves of a call whose statistics are added up between them.
struct Halves {
  explicit Halves(const OwnedCall& owned) : first(owned.call), rest(owned.call) {
    first.steps = kStatistics;
    rest.steps = owned.call.steps & ~uint32_t{kStatistics};
    rest.faults = nullptr;
    first.statistics = rest.statistics = owned.ranks->sums();
  }
  DeviceCall first, rest;
};

size_t workspace_of(const OwnedCall& owned) {
  if (!owned.ranks) return workspace_bytes(owned.call);
  const Halves halves(owned);
  return std::max(workspace_bytes(halves.first), workspace_bytes(halves.rest));
}

/// Enqueues or records all of it.
cudaError_t enqueue_call(const OwnedCall& owned, void* workspace, cudaStream_t stream) {
  if (!owned.ranks) return enqueue(owned.call, workspace, stream);
  const Halves halves(owned);
  if (const cudaError_t failed = enqueue(halves.first, workspace, stream)) return failed;
  if (const cudaError_t failed = owned.ranks->enqueue(owned.call.faults, stream)) return failed;
  return enqueue(halves.rest, workspace, stream);
}

void use_all(const OwnedCall& owned, const std::shared_ptr<Stream>& stream) {
  // Writes first: memory that is read too waits for more.
  for (const Access access : {Access::write, Access::read}) {
    for (const OwnedCall::Use& use : owned.uses) {
      if (use.access == access) use.memory->used_on(stream, access);
    }
  }
}

}  // namespace

std::shared_ptr<DeviceMemory> upload_doubles(const std::vector<double>& numbers,
                                             const std::shared_ptr<Stream>& stream) {
  if (numbers.empty()) return nullptr;
  auto memory = DeviceMemory::allocate(stream, numbers.size() * sizeof(double));
  upload(numbers.data(), *memory, 0, memory->size_bytes(), stream);
  return memory;
}

void refuse_unsupported(const DeviceCall& call) {
  if (const char* why = unsupported(call)) throw Error("ERR_UNSUPPORTED", why);
}

/// The call itself, when enqueue() can do it; else throws.
static OwnedCall supported(OwnedCall owned, const Stream& stream) {
  refuse_unsupported(owned.call);
  if (owned.ranks) owned.ranks->expect_usable(stream);
  return owned;
}

void run(const OwnedCall& owned, const std::shared_ptr<Stream>& stream) {
  refuse_unsupported(owned.call);
  if (owned.ranks) owned.ranks->expect_usable(*stream);
  use_all(owned, stream);
  const auto workspace = DeviceMemory::allocate(stream, workspace_of(owned));
  use_device(stream->device());
  check(enqueue_call(owned, workspace->data(), stream->handle()), "a kernel launch");
  if (owned.ranks) owned.ranks->communicator().watch(*stream);
}

Plan::Plan(OwnedCall owned, const std::shared_ptr<Stream>& stream)
    : owned_(supported(std::move(owned), *stream)),
      workspace_(DeviceMemory::allocate(stream, workspace_of(owned_))),
      graph_(stream->device(), enqueue_all(owned_)) {
  if (owned_.call.faults) {
    // Somebody may read the faults before the first execute(): with all bits 0 there are none.
    static_assert(sizeof(LabelFault) == 4 * sizeof(int64_t));
    use_device(stream->device());
    check(cudaMemsetAsync(owned_.call.faults, 0, sizeof(LabelFault), stream->handle()), "cudaMemsetAsync");
  }
  if (owned_.ranks) owned_.ranks->communicator().add_graph();
}

Plan::~Plan() {
  if (owned_.ranks) owned_.ranks->communicator().remove_graph();
}

Graph::Enqueue Plan::enqueue_all(const OwnedCall& owned) const {
  return [this, &owned] { return enqueue_call(owned, workspace_->data(), nullptr); };
}

void Plan::bind(OwnedCall owned, const std::shared_ptr<Stream>& stream) {
  refuse_unsupported(owned.call);
  if (workspace_of(owned) > workspace_->size_bytes() || stream->device() != workspace_->device()) {
    throw Error("ERR_UNSUPPORTED", "A plan keeps its shapes and its device.");
  }
  try {
    graph_.update(enqueue_all(owned));
  } catch (...) {
    graph_.update(enqueue_all(owned_));  // the plan goes on with the old call
    throw;
  }
  owned_ = std::move(owned);
}

void Plan::execute(const std::shared_ptr<Stream>& stream) {
  if (owned_.ranks) owned_.ranks->expect_usable(*stream);
  use_all(owned_, stream);
  workspace_->used_on(stream, Access::write);
  graph_.launch(*stream);
  if (owned_.ranks) owned_.ranks->communicator().watch(*stream);
}

}  // namespace warpdice::cuda
