#pragma once
// Calls back when the work that a stream holds now is done. One thread asks the events: cudaLaunchHostFunc is not
// called after a fault, and a promise that rests on it would never settle.
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

class Completion {
 public:
  /// Called on the thread of Completion: cudaSuccess, or the fault that ended the work. Must not throw, nor end the
  /// Completion.
  using Callback = std::function<void(cudaError_t)>;

  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  /// Ends the thread, as exit() does. Callbacks whose work is not done are destroyed without a call: it may never end.
  ~Completion();

  /// Returns at once. Callbacks of one stream come in the order of these calls.
  void when_done(std::shared_ptr<Stream> stream, Callback callback);

 private:
  struct Pending {
    std::shared_ptr<Stream> stream;
    std::unique_ptr<Event> event;
    Callback callback;
  };

  struct Running;

  void start();
  void end();
  void run();

  std::once_flag started_;
  std::thread thread_;  // started by the first call
  std::mutex mutex_;    // of what follows
  std::condition_variable changed_;
  std::list<Pending> added_;  // not yet seen by the thread
  bool ending_ = false;
};

}  // namespace warpdice::cuda
