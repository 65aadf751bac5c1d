#pragma once
// One call of a loss on a device, with all memory that it refers to; and a plan, which repeats a call.
#include <memory>
#include <vector>

#include "cuda/all_ranks.h"
#include "cuda/engine.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/memory.h"

namespace warpdice::cuda {

/// A call, and owners of all memory that it points at: the tensors, and what keep() adds.
struct OwnedCall {
  struct Use {
    std::shared_ptr<DeviceMemory> memory;
    Access access;
  };

  DeviceCall call;
  std::vector<Use> uses;
  /// Who adds up the statistics after step 1; null: nobody. Its call then has other steps too, and faults.
  std::shared_ptr<const AllRanks> ranks;

  /// Becomes an owner of `more` too, and returns its address.
  template <class T>
  T* keep(std::shared_ptr<DeviceMemory> more, Access access) {
    uses.push_back({std::move(more), access});
    return static_cast<T*>(uses.back().memory->data());
  }
};

/// Uploads the constants of a loss. Null when there are none.
std::shared_ptr<DeviceMemory> upload_doubles(const std::vector<double>& numbers, const std::shared_ptr<Stream>& stream);

/// Throws ERR_UNSUPPORTED when enqueue() cannot do the call.
void refuse_unsupported(const DeviceCall& call);

/// Enqueues the call. Throws as refuse_unsupported().
void run(const OwnedCall& owned, const std::shared_ptr<Stream>& stream);

/// A call as a CUDA graph: made once, launched by each execute() without an allocation.
class Plan {
 public:
  Plan(OwnedCall owned, const std::shared_ptr<Stream>& stream);
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan();

  /// Replaces the call by another one with the same shapes, dtypes and options. This updates the graph; it makes no new
  /// one.
  void bind(OwnedCall owned, const std::shared_ptr<Stream>& stream);

  void execute(const std::shared_ptr<Stream>& stream);

 private:
  Graph::Enqueue enqueue_all(const OwnedCall& owned) const;

  OwnedCall owned_;
  std::shared_ptr<DeviceMemory> workspace_;
  Graph graph_;
};

}  // namespace warpdice::cuda
