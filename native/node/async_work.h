#pragma once
// Work off the event loop: made on the JavaScript thread, computed on a thread of cpu::WorkQueue, and settled on the
// JavaScript thread again (async_queue.h), where it resolves or rejects its promise.
#include <napi.h>

#include <exception>

#include "cpu/work_queue.h"

namespace warpdice {

class AsyncWork : public cpu::Work {
 public:
  /// On the JavaScript thread, after compute(). What it throws rejects the promise, else that resolves to undefined.
  void settle(Napi::Env env) {
    if (failure_) std::rethrow_exception(failure_);
    deliver(env);
  }

  napi_deferred deferred = nullptr;

 protected:
  /// No JavaScript. What it throws rejects the promise.
  virtual void compute() = 0;
  virtual void deliver(Napi::Env env) = 0;

 private:
  void execute() noexcept final {
    try {
      compute();
    } catch (...) {
      failure_ = std::current_exception();  // needs no memory, which may be what is missing
    }
  }

  std::exception_ptr failure_;
};

}  // namespace warpdice
