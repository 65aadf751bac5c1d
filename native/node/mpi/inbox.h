#pragma once
// Where the operations of one JavaScript environment come back to: its promises are settled on its own thread.
// Operations outlive an environment that ends, such as that of a terminated worker.
#include <napi.h>

#include <memory>
#include <mutex>
#include <vector>

namespace warpdice::mpi {

/// What settles a promise.
class Letter {
 public:
  virtual ~Letter() = default;
  /// On the thread of JavaScript. Returns what the promise resolves to, or throws what it rejects with.
  virtual napi_value open(Napi::Env env) = 0;

 private:
  friend class Inbox;
  napi_deferred deferred_ = nullptr;
  bool keeps_alive_ = true;
};

class Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  /// That of this environment.
  static std::shared_ptr<Inbox> of(Napi::Env env);

  /// A promise for a letter that will come. keeps_alive: whether Node waits for it.
  napi_value expect(Letter& letter, bool keeps_alive = true);
  /// The letter will not come.
  void forget(Letter& letter);
  /// From any thread. Without effect when the environment has ended.
  void post(std::shared_ptr<Letter> letter) noexcept;

 private:
  explicit Inbox(Napi::Env env) : env_(env) {}
  void settle() noexcept;
  void end();

  Napi::Env env_;
  napi_threadsafe_function to_javascript_ = nullptr;
  size_t expected_ = 0;  // on the thread of JavaScript

  std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::shared_ptr<Letter>> letters_;
};

}  // namespace warpdice::mpi
