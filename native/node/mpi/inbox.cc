#include "node/mpi/inbox.h"

#include <utility>

#include "mpi/engine.h"
#include "node/errors.h"

namespace warpdice::mpi {

std::shared_ptr<Inbox> Inbox::of(Napi::Env env) {
  using Holder = std::shared_ptr<Inbox>;
  if (const Holder* found = env.GetInstanceData<Holder>()) return *found;
  Holder inbox(new Inbox(env));
  const auto on_javascript_thread = [](napi_env open, napi_value, void* self, void*) {
    if (open) static_cast<Inbox*>(self)->settle();
  };
  const auto destroy = [](napi_env, void* held, void*) { delete static_cast<Holder*>(held); };
  auto* held = new Holder(inbox);  // until the environment has ended
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "warpdice/mpi"), 1, 1, held,
                                      destroy, inbox.get(), on_javascript_thread, &inbox->to_javascript_);
  if (status != napi_ok) {
    delete held;
    throw Napi::Error::New(env);
  }
  napi_unref_threadsafe_function(env, inbox->to_javascript_);
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Inbox*>(self)->end(); }, inbox.get());
  env.SetInstanceData<Holder>(new Holder(inbox));
  return inbox;
}

napi_value Inbox::expect(Letter& letter, bool keeps_alive) {
  napi_value promise;
  if (napi_create_promise(env_, &letter.deferred_, &promise) != napi_ok) throw Napi::Error::New(env_);
  letter.keeps_alive_ = keeps_alive;
  if (keeps_alive && expected_++ == 0) napi_ref_threadsafe_function(env_, to_javascript_);
  return promise;
}

void Inbox::forget(Letter& letter) {
  if (letter.keeps_alive_ && --expected_ == 0) napi_unref_threadsafe_function(env_, to_javascript_);
}

void Inbox::post(std::shared_ptr<Letter> letter) noexcept {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ended_) return;
  letters_.push_back(std::move(letter));
  napi_call_threadsafe_function(to_javascript_, nullptr, napi_tsfn_nonblocking);
}

/// Raw Node-API whose status is ignored: when the environment is closing, there is nobody left to tell.
void Inbox::settle() noexcept {
  std::vector<std::shared_ptr<Letter>> letters;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    letters.swap(letters_);
  }
  for (const auto& letter : letters) {
    napi_handle_scope scope = nullptr;
    napi_open_handle_scope(env_, &scope);
    napi_value result = nullptr, error = nullptr;
    try {
      result = letter->open(env_);
    } catch (...) {
      error = caught_error(env_);
    }
    if (error) napi_reject_deferred(env_, letter->deferred_, error);
    else napi_resolve_deferred(env_, letter->deferred_, result);
    napi_close_handle_scope(env_, scope);
    forget(*letter);
  }
}

void Inbox::end() {
  Engine::instance().release(this);
  std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  letters_.clear();
  napi_release_threadsafe_function(to_javascript_, napi_tsfn_abort);
}

}  // namespace warpdice::mpi
