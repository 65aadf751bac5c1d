#include "completion.h"

#include <algorithm>
#include <chrono>
#include <set>

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
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  added_.push_back({std::move(stream), std::move(event), std::move(callback)});
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
      const auto woken = [&] { return !added_.empty() || ending_; };
      if (pending.empty()) changed_.wait(lock, woken);
      else changed_.wait_for(lock, pause, woken);
      if (!added_.empty()) pause = shortest;
      pending.splice(pending.end(), added_);
      if (ending_) return;
    }
    // All streams are asked, not only that of the oldest: one that waits must not hold back the others.
    bool any = false;
    std::set<cudaStream_t> waiting;
    for (auto it = pending.begin(); it != pending.end();) {
      const cudaStream_t stream = it->stream->handle();
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
