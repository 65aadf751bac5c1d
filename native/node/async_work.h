#pragma once
// Work off the event loop: made on the JavaScript thread, executed on a thread of Node's pool, and settled on the
// JavaScript thread again, where it resolves or rejects its promise.
#include <memory>

#include "node/napi_util.h"

namespace warpdice {

class AsyncWork {
 public:
  virtual ~AsyncWork() = default;

  /// The promise of the work, which is owned by the queue from here on.
  static napi_value start(Napi::Env env, std::unique_ptr<AsyncWork> work) {
    napi_value promise;
    if (napi_create_promise(env, &work->deferred_, &promise) != napi_ok) throw Napi::Error::New(env);
    const Napi::String name = Napi::String::New(env, "warpdice");
    if (napi_create_async_work(env, nullptr, name, on_pool_thread, on_javascript_thread, work.get(), &work->work_) !=
        napi_ok) {
      throw Napi::Error::New(env);
    }
    if (napi_queue_async_work(env, work->work_) != napi_ok) {
      napi_delete_async_work(env, work->work_);
      throw Napi::Error::New(env);
    }
    static_cast<void>(work.release());  // the queue has it now
    return promise;
  }

 protected:
  /// On a pool thread: no JavaScript. What it throws rejects the promise.
  virtual void execute() = 0;
  /// On the JavaScript thread, after execute(). What it throws rejects the promise, else it resolves to undefined.
  virtual void settle(Napi::Env env) = 0;

 private:
  static void on_pool_thread(napi_env, void* data) {
    auto* self = static_cast<AsyncWork*>(data);
    try {
      self->execute();
    } catch (const Error& error) {
      self->fail(error.code(), error.what());
    } catch (const std::bad_alloc&) {
      self->fail("ERR_OUT_OF_MEMORY", "Out of memory");
    } catch (const std::exception& error) {
      self->fail("ERR_ADDON", error.what());
    }
  }

  void fail(const char* code, const char* message) {
    error_code_ = code;
    error_message_ = message;
  }

  /// Raw Node-API whose status is ignored: when the environment is closing, there is nobody left to tell.
  static void on_javascript_thread(napi_env raw, napi_status status, void* data) {
    std::unique_ptr<AsyncWork> self(static_cast<AsyncWork*>(data));
    Napi::Env env(raw);
    Napi::HandleScope scope(env);
    try {
      if (status != napi_ok) throw to_javascript(env, "ERR_ADDON", "The call was cancelled");
      if (self->error_code_) throw to_javascript(env, self->error_code_, self->error_message_);
      self->settle(env);
      napi_value undefined;
      napi_get_undefined(env, &undefined);
      napi_resolve_deferred(env, self->deferred_, undefined);
    } catch (const Napi::Error& error) {
      napi_reject_deferred(env, self->deferred_, error.Value());
    } catch (...) {
      // Memory for the error itself ran out. Nothing may leave this C callback; the promise stays pending.
    }
    napi_delete_async_work(env, self->work_);
  }

  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
  const char* error_code_ = nullptr;  // a string literal
  std::string error_message_;
};

}  // namespace warpdice
