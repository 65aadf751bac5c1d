#include "cuda/runtime/completion.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

namespace warpdice::cuda {

/// All Completions that have a thread. exit() takes CUDA's runtime apart, and a thread that used it afterwards would
/// crash the process. So the threads end first: exit() calls what was registered last first, and the runtime was there
/// before.
struct Completion::Running {
  std::mutex mutex;
  std::set<Completion*> all;

  /// Never destroyed: environments may end after static destructors have begun.
  static Running& only() {
    static auto* running = new Running;
    return *running;
  }

  static void end_all() {
    Running& running = only();
    std::lock_guard<std::mutex> lock(running.mutex);
    for (Completion* completion : running.all) completion->end();
  }
};

Completion::~Completion() {
  Running& running = Running::only();
  std::lock_guard<std::mutex> lock(running.mutex);
  running.all.erase(this);
  end();
}

void Completion::start() {
  static const int registered = std::atexit(Running::end_all);
  (void)registered;
  Running& running = Running::only();
  std::lock_guard<std::mutex> lock(running.mutex);
  running.all.insert(this);
  thread_ = std::thread([this] { run(); });
}

/// The caller holds the lock of Running.
void Completion::end() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Completion::when_done(std::shared_ptr<Stream> stream, Callback callback) {
  auto event = std::make_unique<Event>(stream->device());
  event->record(*stream);
  std::call_once(started_, [this] { start(); });
  std::lock_guard<std::mutex> lock(mutex_);
  added_.push_back({std::move(stream), std::move(event), std::move(callback)});
  changed_.notify_one();
}

void Completion::run() {
  using std::chrono::microseconds;
  constexpr microseconds shortest{20},
      longest{500};  // soon after a short step, and with little CPU time during a long one
  std::list<Pending> pending;
  microseconds pause = shortest;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto woken = [&] { return !added_.empty() || ending_; };
      if (pending.empty()) changed_.wait(lock, woken);
      else changed_.wait_for(lock, pause, woken);
      if (!added_.empty()) pause = shortest;
      pending.splice(pending.end(), added_);
      if (ending_) return;
    }
    // Asks all streams, since one that waits must not hold back the others.
    bool any = false;
    std::set<const Stream*> waiting;
    for (auto it = pending.begin(); it != pending.end();) {
      const Stream* stream = it->stream.get();
      const cudaError_t status = waiting.count(stream) ? cudaErrorNotReady : it->event->query();
      if (status == cudaErrorNotReady) {
        waiting.insert(stream);
        ++it;
        continue;
      }
      it->callback(status);
      it = pending.erase(it);
      any = true;
    }
    pause = any ? shortest : std::min(pause * 2, longest);
  }
}

}  // namespace warpdice::cuda
