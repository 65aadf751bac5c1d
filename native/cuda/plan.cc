#include "cuda/plan.h"

#include "cuda/runtime/transfer.h"

namespace warpdice::cuda {
namespace {

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
static OwnedCall supported(OwnedCall owned) {
  refuse_unsupported(owned.call);
  return owned;
}

void run(const OwnedCall& owned, const std::shared_ptr<Stream>& stream) {
  refuse_unsupported(owned.call);
  use_all(owned, stream);
  const auto workspace = DeviceMemory::allocate(stream, workspace_bytes(owned.call));
  use_device(stream->device());
  check(enqueue(owned.call, workspace->data(), stream->handle()), "a kernel launch");
}

Plan::Plan(OwnedCall owned, const std::shared_ptr<Stream>& stream)
    : owned_(supported(std::move(owned))),
      workspace_(DeviceMemory::allocate(stream, workspace_bytes(owned_.call))),
      graph_(stream->device(), enqueue_all(owned_)) {
  if (!owned_.call.faults) return;
  // Somebody may read the faults before the first execute(): with all bits 0 there are none.
  static_assert(sizeof(LabelFault) == 4 * sizeof(int64_t));
  use_device(stream->device());
  check(cudaMemsetAsync(owned_.call.faults, 0, sizeof(LabelFault), stream->handle()), "cudaMemsetAsync");
}

Graph::Enqueue Plan::enqueue_all(const OwnedCall& owned) const {
  return [this, &owned] { return enqueue(owned.call, workspace_->data(), nullptr); };
}

void Plan::bind(OwnedCall owned, const std::shared_ptr<Stream>& stream) {
  refuse_unsupported(owned.call);
  if (workspace_bytes(owned.call) > workspace_->size_bytes() || stream->device() != workspace_->device()) {
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
  use_all(owned_, stream);
  workspace_->used_on(stream, Access::write);
  graph_.launch(*stream);
}

}  // namespace warpdice::cuda
