#include "nccl/watcher.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "nccl/communicator.h"

namespace warpdice::nccl {
namespace {

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::weak_ptr<Communicator>> all;
  std::thread thread;
  bool awake = false, ending = false;

  /// Never destroyed: environments may end after static destructors have begun.
  static State& only() {
    static auto* state = new State;
    return *state;
  }
};

void run() {
  State& state = State::only();
  for (;;) {
    std::vector<std::weak_ptr<Communicator>> all;
    {
      std::unique_lock<std::mutex> lock(state.mutex);
      state.changed.wait(lock, [&] { return state.awake || state.ending; });
      if (state.ending) return;
      state.awake = false;
      all = state.all;
    }
    bool busy = false;
    for (const auto& one : all) {
      if (const auto alive = one.lock()) busy |= alive->look();
    }
    if (!busy) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    Watcher::wake();
  }
}

/// exit() takes CUDA's runtime apart, and a thread that used it afterwards would crash the process.
void end() {
  State& state = State::only();
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    state.ending = true;
  }
  state.changed.notify_one();
  state.thread.join();
}

}  // namespace

void Watcher::add(const std::shared_ptr<Communicator>& communicator) {
  State& state = State::only();
  std::lock_guard<std::mutex> lock(state.mutex);
  for (auto it = state.all.begin(); it != state.all.end();) it = it->expired() ? state.all.erase(it) : it + 1;
  state.all.push_back(communicator);
  if (state.thread.joinable()) return;
  state.thread = std::thread(run);
  std::atexit(end);
}

void Watcher::wake() {
  State& state = State::only();
  std::lock_guard<std::mutex> lock(state.mutex);
  state.awake = true;
  state.changed.notify_one();
}

}  // namespace warpdice::nccl
