#include "completion.h"

#include <algorithm>
#include <chrono>

namespace warpdice::cuda {

Completion::~Completion() {
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
  std::lock_guard<std::mutex> lock(mutex_);
  added_.push_back({std::move(stream), std::move(event), std::move(callback)});
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_one();
}

void Completion::run() {
  using std::chrono::microseconds;
  constexpr microseconds shortest{20}, longest{500};  // a small step is answered soon, a long one costs no processor
  std::list<Pending> pending;
  microseconds pause = shortest;
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      const auto woken = [&] { return !added_.empty() || (ending_ && pending.empty()); };
      if (pending.empty()) changed_.wait(lock, woken);
      else changed_.wait_for(lock, pause, woken);
      if (!added_.empty()) pause = shortest;
      pending.splice(pending.end(), added_);
      if (ending_ && pending.empty()) return;
    }
    // All are asked, not only the oldest: a stream that waits must not hold back the others.
    bool any = false;
    for (auto it = pending.begin(); it != pending.end();) {
      const cudaError_t status = it->event->query();
      if (status == cudaErrorNotReady) {
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
