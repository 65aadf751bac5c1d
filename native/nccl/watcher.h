#pragma once
// One thread of the process looks after the work of all communicators: a kernel that waits for a rank waits for ever,
// and a thread that waits for the kernel cannot help it.
#include <memory>

namespace warpdice::nccl {

class Communicator;

class Watcher {
 public:
  /// Watches it until it is destroyed.
  static void add(const std::shared_ptr<Communicator>& communicator);
  /// Something was enqueued.
  static void wake();
};

}  // namespace warpdice::nccl
