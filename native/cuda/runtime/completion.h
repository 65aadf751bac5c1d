#pragma once
// Calls back when the work that a stream holds now is done. One thread queries events. cudaLaunchHostFunc would not do:
// CUDA does not call it after an error, and a promise that waits for it would never settle.
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "cuda/runtime/stream.h"

namespace warpdice::cuda {

class Completion {
 public:
  /// The thread of Completion calls it with cudaSuccess, or with the error that ended the work. It must not throw and
  /// must not destroy the Completion.
  using Callback = std::function<void(cudaError_t)>;

  Completion() = default;
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;
  /// Ends the thread, as exit() does. Callbacks whose work is not done are destroyed and not called: it may never end.
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
