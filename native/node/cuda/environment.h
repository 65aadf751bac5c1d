#pragma once
// What one JavaScript environment (the main thread, or a worker) has for its devices: the constructors of its classes,
// and promises that are settled when a stream has done its work.
#include <napi.h>

#include <functional>
#include <map>
#include <memory>

#include "cuda/runtime/completion.h"

namespace warpdice::device {

class Environment {
 public:
  /// Made by the first use in `env`, ended with it.
  static Environment& of(Napi::Env env);

  explicit Environment(Napi::Env env) : env_(env) {}
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// What a promise resolves to. May throw Napi::Error or warpdice::Error, which reject it.
  using Result = std::function<Napi::Value(const Napi::Object& kept)>;

  /// A promise that is settled when `stream` has done what it holds now: with what `result` returns, or with the
  /// fault. `keep` is held until then; `result` is called on JavaScript's thread, unless the environment ends before.
  Napi::Value when_done(const std::shared_ptr<cuda::Stream>& stream, const Napi::Object& keep, Result result);

  Napi::FunctionReference buffer_class, plan_class;

 private:
  struct Pending {
    napi_deferred deferred;
    Napi::ObjectReference kept;
    Result result;
  };
  struct Settlement;

  void start();
  void end();
  void settle(uint64_t id, cudaError_t status);

  const Napi::Env env_;
  std::unique_ptr<cuda::Completion> completion_;
  napi_threadsafe_function to_javascript_ = nullptr;
  // Touched by JavaScript's thread only: a reference must not be deleted by another one.
  std::map<uint64_t, Pending> pending_;
  uint64_t last_id_ = 0;
};

}  // namespace warpdice::device
