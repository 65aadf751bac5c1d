#pragma once
// One call of a loss on a device, with all memory that it refers to; and a plan, which repeats one.
#include <memory>
#include <vector>

#include "cuda/engine.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/memory.h"

namespace warpdice::cuda {

/// A call and the owners of everything that it points at: the tensors, and what keep() adds.
struct OwnedCall {
  DeviceCall call;
  std::vector<std::shared_ptr<DeviceMemory>> memory;

  /// Owns `more` too, and returns its address.
  template <class T>
  T* keep(std::shared_ptr<DeviceMemory> more) {
    memory.push_back(std::move(more));
    return static_cast<T*>(memory.back()->data());
  }
};

/// Uploads a loss's constants; null where there are none.
std::shared_ptr<DeviceMemory> upload_doubles(const std::vector<double>& numbers, const std::shared_ptr<Stream>& stream);

/// Throws what enqueue() refuses, in words.
void refuse_unsupported(const DeviceCall& call);

/// Enqueues the call, if it is not refused.
void run(const OwnedCall& owned, const std::shared_ptr<Stream>& stream);

/// A call as a graph: made once, launched by execute(), without an allocation.
class Plan {
 public:
  Plan(OwnedCall owned, const std::shared_ptr<Stream>& stream);

  /// Puts another call of the same shapes, dtypes and options in place. No graph is made anew.
  void bind(OwnedCall owned, const std::shared_ptr<Stream>& stream);

  void execute(const std::shared_ptr<Stream>& stream);

 private:
  Graph::Enqueue enqueue_all(const OwnedCall& owned) const;

  OwnedCall owned_;
  std::shared_ptr<DeviceMemory> workspace_;
  Graph graph_;
};

}  // namespace warpdice::cuda
