#pragma once
// What one JavaScript environment (the main thread, or a worker) has of its own: the constructors of classes, and
// promises that settle when a stream has done its work.
#include <napi.h>

#include <functional>
#include <map>
#include <memory>

#include "cuda/runtime/completion.h"

namespace warpdice::device {

class Environment {
 public:
  /// The one of `env`: made by the first call, destroyed with it.
  static Environment& of(Napi::Env env);

  explicit Environment(Napi::Env env) : env_(env) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// Returns what a promise resolves to. When it throws Napi::Error or warpdice::Error, the promise rejects with that.
  using Result = std::function<Napi::Value(const Napi::Object& kept)>;

  /// Returns a promise that settles when `stream` has done the work that it holds now: it resolves to what `result`
  /// returns, or rejects with the error of the work. Until then `keep` stays alive. `result` is called on JavaScript's
  /// thread, and not at all if the environment ends first. `before`, if any, is called earlier, on another thread; it
  /// must not throw.
  Napi::Value when_done(const std::shared_ptr<cuda::Stream>& stream, const Napi::Object& keep, Result result,
                        std::function<void()> before = {});

  Napi::FunctionReference buffer_class, plan_class;

 private:
  struct Pending {
    uint64_t id;
    cudaError_t status;  // of the work, written by the thread of Completion
    napi_deferred deferred;
    Napi::ObjectReference kept;
    Result result;
  };

  void start();
  void end();
  void settle(uint64_t id);

  const Napi::Env env_;
  std::unique_ptr<cuda::Completion> completion_;
  napi_threadsafe_function to_javascript_ = nullptr;
  // Only for JavaScript's thread: no other thread may delete a reference.
  std::map<uint64_t, Pending> pending_;
  uint64_t last_id_ = 0;
};

}  // namespace warpdice::device
