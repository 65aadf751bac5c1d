#include "node/async_queue.h"

#include <string>

#include "cpu/setting.h"
#include "math/error.h"

namespace warpdice {
namespace {

/// Of copies that the pending calls of an environment may hold when another call is made.
size_t most_held_mib() {
  static const long mib = cpu::integer_setting("WARPDICE_ASYNC_MIB", 1L << 30, 1024);
  return static_cast<size_t>(mib);
}

}  // namespace

AsyncQueue& AsyncQueue::make(Napi::Env env) {
  auto queue = std::unique_ptr<AsyncQueue>(new AsyncQueue(env));
  const auto on_javascript_thread = [](napi_env open, napi_value, void* self, void*) {
    if (open) static_cast<AsyncQueue*>(self)->settle_executed();
  };
  const auto destroy = [](napi_env, void* self, void*) { delete static_cast<AsyncQueue*>(self); };
  // It only wakes up JavaScript's thread, so one waiting call of it is enough: later ones are refused without harm.
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "warpdice"), 1, 1, queue.get(),
                                      destroy, queue.get(), on_javascript_thread, &queue->to_javascript_);
  if (status != napi_ok) throw Napi::Error::New(env);
  napi_unref_threadsafe_function(env, queue->to_javascript_);
  // Hooks run in reverse order: this one before that of the threadsafe function, which works under way still call.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<AsyncQueue*>(self)->end(); }, queue.get());
  return *queue.release();
}

void AsyncQueue::hold(size_t bytes) {
  const size_t held_mib = held_bytes_ >> 20, most = most_held_mib();
  if (bytes > 0 && held_mib >= most) {
    throw Error("ERR_QUEUE_FULL",
                "Expected pending Async calls to hold less than " + std::to_string(most) +
                    " MiB of copied arrays but they hold " + std::to_string(held_mib) +
                    " MiB: await earlier calls first, or pass tensors of Tensor.empty, which are not copied");
  }
  held_bytes_ += bytes;
}

napi_value AsyncQueue::add(std::unique_ptr<AsyncWork> work) {
  napi_value promise;
  if (napi_create_promise(env_, &work->deferred, &promise) != napi_ok) throw Napi::Error::New(env_);
  try {
    cpu::WorkQueue::instance().add(*this, *work);
  } catch (...) {
    napi_reject_deferred(env_, work->deferred, caught_error(env_));
    return promise;
  }
  static_cast<void>(work.release());                                        // the queue has it now
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, to_javascript_);  // Node stays alive for it
  return promise;
}

napi_value AsyncQueue::rejected(napi_value error) {
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env_, &deferred, &promise) != napi_ok) throw Napi::Error::New(env_);
  napi_reject_deferred(env_, deferred, error);
  return promise;
}

void AsyncQueue::executed(cpu::Work& work) noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    executed_.push(work);
  }
  napi_call_threadsafe_function(to_javascript_, nullptr, napi_tsfn_nonblocking);
}

/// Raw Node-API whose status is ignored: when the environment is closing, there is nobody left to tell.
void AsyncQueue::settle_executed() noexcept {
  cpu::WorkList list;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    std::swap(list, executed_);
  }
  if (list.empty()) return;
  while (cpu::Work* executed = list.pop()) {
    const std::unique_ptr<AsyncWork> work(static_cast<AsyncWork*>(executed));
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env_, &scope);
    napi_value error = nullptr, undefined = nullptr;
    try {
      work->settle(env_);
    } catch (...) {
      error = caught_error(env_);
    }
    napi_get_undefined(env_, &undefined);
    if (error) napi_reject_deferred(env_, work->deferred, error);
    else napi_resolve_deferred(env_, work->deferred, undefined);
    napi_close_handle_scope(env_, scope);
    pending_--;
  }
  if (pending_ == 0) napi_unref_threadsafe_function(env_, to_javascript_);
}

void AsyncQueue::end() {
  cpu::WorkList rest = cpu::WorkQueue::instance().remove(*this);
  for (cpu::WorkList* list : {&rest, &executed_}) {
    while (cpu::Work* work = list->pop()) delete static_cast<AsyncWork*>(work);
  }
  napi_release_threadsafe_function(to_javascript_, napi_tsfn_abort);
}

}  // namespace warpdice
