// A call that runs on a pool thread of Node's.
#include "async_call.h"

#include <cstdlib>
#include <cstring>

namespace warpdice {
namespace {

/// Memory that JavaScript could detach meanwhile is copied: inputs before, outputs after. Shared memory is used where
/// it is, and referenced until the call is done.
class AsyncCall {
 public:
  explicit AsyncCall(const BoundCall& bound) : bound_(bound) {}

  static napi_value start(const BoundCall& bound, const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    auto self = std::make_unique<AsyncCall>(bound);
    self->take_copies();
    Napi::Array kept = Napi::Array::New(env, aCount);
    for (size_t i = 0; i < aCount; i++) {
      if (bound.arrays[i].memory.data) kept.Set(static_cast<uint32_t>(i), info[kArrayArguments[i]]);
    }
    self->arrays_ = Napi::Persistent(kept.As<Napi::Object>());
    napi_value promise;
    if (napi_create_promise(env, &self->deferred_, &promise) != napi_ok) throw Napi::Error::New(env);
    const Napi::String name = Napi::String::New(env, "warpdice");
    if (napi_create_async_work(env, nullptr, name, execute, complete, self.get(), &self->work_) != napi_ok) {
      throw Napi::Error::New(env);
    }
    if (napi_queue_async_work(env, self->work_) != napi_ok) {
      napi_delete_async_work(env, self->work_);
      throw Napi::Error::New(env);
    }
    self.release();  // owned by the queued work from here on
    return promise;
  }

 private:
  void take_copies() {
    for (size_t i = 0; i < aCount; i++) {
      Array& array = bound_.arrays[i];
      if (!array.memory.data || array.memory.shared) continue;
      copies_[i].reset(static_cast<char*>(std::malloc(array.used_bytes)));
      if (!copies_[i]) throw std::bad_alloc();
      const bool read = !array.output || ((i == aGrad || i == aTargetGrad) && bound_.call.grad.accumulate);
      if (read) cpu::copy(copies_[i].get(), array.memory.data, array.used_bytes, false);
      array.memory.data = copies_[i].get();
    }
    bound_.connect();
  }

  static void execute(napi_env, void* data) {
    auto* self = static_cast<AsyncCall*>(data);
    try {
      self->faults_ = run(self->bound_.call);
    } catch (const Error& error) {
      self->error_code_ = error.code();
      self->error_message_ = error.what();
    } catch (const std::bad_alloc&) {
      self->error_code_ = "ERR_OUT_OF_MEMORY";
      self->error_message_ = "Out of memory";
    } catch (const std::exception& error) {
      self->error_code_ = "ERR_ADDON";
      self->error_message_ = error.what();
    }
  }

  /// Raw Node-API whose status is ignored: when the environment is closing, there is nobody left to tell.
  static void complete(napi_env raw, napi_status status, void* data) {
    std::unique_ptr<AsyncCall> self(static_cast<AsyncCall*>(data));
    Napi::Env env(raw);
    Napi::HandleScope scope(env);
    try {
      if (status != napi_ok) {
        self->reject(to_javascript(env, "ERR_ADDON", "The call was cancelled"));
      } else if (self->error_code_) {
        self->reject(to_javascript(env, self->error_code_, self->error_message_));
      } else if (self->faults_.count > 0) {
        self->reject(label_error(env, self->faults_));
      } else {
        self->hand_over(env);
        napi_value undefined;
        napi_get_undefined(env, &undefined);
        napi_resolve_deferred(env, self->deferred_, undefined);
      }
    } catch (const Napi::Error& error) {
      self->reject(error);
    } catch (...) {
      // Memory for the error itself ran out. Nothing may leave this C callback; the promise stays pending.
    }
    napi_delete_async_work(env, self->work_);
  }

  void reject(const Napi::Error& error) { napi_reject_deferred(error.Env(), deferred_, error.Value()); }

  /// Copies the results to where the caller wants them, if that is still there.
  void hand_over(Napi::Env env) {
    std::array<Memory, aCount> to;
    for (size_t i = 0; i < aCount; i++) {
      const Array& array = bound_.arrays[i];
      if (!array.output || !copies_[i]) continue;
      to[i] = memory_of(env, arrays_.Value().Get(static_cast<uint32_t>(i)), kArrayNames[i]);
      if (to[i].size_bytes < array.used_bytes) {
        throw Napi::TypeError::New(env, std::string("Expected ") + kArrayNames[i] +
                                            " to keep its memory during the call but it was detached or shrunk");
      }
    }
    for (size_t i = 0; i < aCount; i++) {
      if (to[i].data) cpu::copy(to[i].data, copies_[i].get(), bound_.arrays[i].used_bytes, false);
    }
  }

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  BoundCall bound_;
  std::array<std::unique_ptr<char, Free>, aCount> copies_;
  Napi::ObjectReference arrays_;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
  LabelFault faults_;
  const char* error_code_ = nullptr;
  std::string error_message_;
};

}  // namespace

napi_value start_async(const BoundCall& bound, const Napi::CallbackInfo& info) { return AsyncCall::start(bound, info); }

Napi::Error label_error(Napi::Env env, const LabelFault& fault) {
  Napi::Error error = to_javascript(env, "ERR_LABEL_RANGE", "The target has invalid values");
  Napi::Object object = error.Value();
  object.Set("count", Napi::Number::New(env, static_cast<double>(fault.count)));
  object.Set("index", Napi::Number::New(env, static_cast<double>(fault.first_index)));
  object.Set("value", Napi::Number::New(env, static_cast<double>(fault.first_value)));
  return error;
}

}  // namespace warpdice
