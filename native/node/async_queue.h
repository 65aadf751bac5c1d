#pragma once
// The calls off the event loop of one JavaScript environment (the main thread, or a worker).
#include <napi.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

#include "node/async_work.h"
#include "node/errors.h"

namespace warpdice {

class AsyncQueue : public cpu::WorkOwner {
 public:
  /// The one of `env`, which ends with it. Calls that have not begun by then are dropped; those under way are waited
  /// for, since they may use the environment's shared memory.
  static AsyncQueue& make(Napi::Env env);
  AsyncQueue(const AsyncQueue&) = delete;
  AsyncQueue& operator=(const AsyncQueue&) = delete;

  /// Queues the work that `make_work` returns, and returns its promise. Wrong arguments (Napi::Error) are thrown at
  /// once; whatever else `make_work` throws rejects the promise.
  template <class MakeWork>
  napi_value start(MakeWork make_work) {
    settle_executed();  // makes room
    std::unique_ptr<AsyncWork> work;
    napi_value failure = nullptr;
    try {
      work = make_work();
    } catch (const Napi::Error&) {
      throw;
    } catch (...) {
      failure = caught_error(env_);
    }
    return failure ? rejected(failure) : add(std::move(work));
  }

  /// Counts the bytes of copies that a call will hold. Throws Error when those of earlier calls are too many already,
  /// so that one call alone may be of any size.
  void hold(size_t bytes);
  void let_go(size_t bytes) { held_bytes_ -= bytes; }

 private:
  explicit AsyncQueue(Napi::Env env) : env_(env) {}
  napi_value add(std::unique_ptr<AsyncWork> work);
  napi_value rejected(napi_value error);
  void executed(cpu::Work& work) noexcept override;
  void settle_executed() noexcept;
  void end();

  const Napi::Env env_;
  napi_threadsafe_function to_javascript_ = nullptr;
  size_t pending_ = 0;  // only for JavaScript's thread
  std::atomic<size_t> held_bytes_ = 0;
  std::mutex mutex_;
  cpu::WorkList executed_;  // not yet settled
};

/// A call's share of the bytes that pending calls hold.
class HeldBytes {
 public:
  HeldBytes(AsyncQueue& queue, size_t bytes) : queue_(queue), bytes_(bytes) { queue.hold(bytes); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
  ~HeldBytes() { queue_.let_go(bytes_); }
  void let_go(size_t bytes) {
    queue_.let_go(bytes);
    bytes_ -= bytes;
  }

 private:
  AsyncQueue& queue_;
  size_t bytes_;
};

}  // namespace warpdice
