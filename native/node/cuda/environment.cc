#include "node/cuda/environment.h"

#include "node/napi_util.h"

namespace warpdice::device {

Environment& Environment::of(Napi::Env env) {
  auto* environment = env.GetInstanceData<Environment>();
  if (!environment) {
    environment = new Environment(env);
    env.SetInstanceData(environment);
  }
  return *environment;
}

void Environment::start() {
  const auto on_javascript_thread = [](napi_env env, napi_value, void* context, void* data) {
    if (env) static_cast<Environment*>(context)->settle(static_cast<Pending*>(data)->id);
  };
  const Napi::String name = Napi::String::New(env_, "warpdice");
  const napi_status status = napi_create_threadsafe_function(env_, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this,
                                                             on_javascript_thread, &to_javascript_);
  if (status != napi_ok) throw Napi::Error::New(env_);
  napi_unref_threadsafe_function(env_, to_javascript_);
  completion_ = std::make_unique<cuda::Completion>();
  // Hooks run in reverse order. This one must run before that of the threadsafe function, which Completion still calls.
  napi_add_env_cleanup_hook(
      env_, [](void* self) { static_cast<Environment*>(self)->end(); }, this);
}

void Environment::end() {
  completion_.reset();
  pending_.clear();
  napi_release_threadsafe_function(to_javascript_, napi_tsfn_abort);
}

Napi::Value Environment::when_done(const std::shared_ptr<cuda::Stream>& stream, const Napi::Object& keep, Result result,
                                   std::function<void()> before) {
  if (!completion_) start();
  napi_value promise;
  Pending pending{};
  if (napi_create_promise(env_, &pending.deferred, &promise) != napi_ok) throw Napi::Error::New(env_);
  pending.kept = Napi::Persistent(keep);
  pending.result = std::move(result);
  const uint64_t id = pending.id = ++last_id_;
  Pending& waiting = pending_.emplace(id, std::move(pending)).first->second;
  try {
    completion_->when_done(stream,
                           [function = to_javascript_, &waiting, before = std::move(before)](cudaError_t status) {
                             if (before && status == cudaSuccess) before();
                             waiting.status = status;
                             napi_call_threadsafe_function(function, &waiting, napi_tsfn_nonblocking);
                           });
  } catch (...) {
    pending_.erase(id);
    throw;
  }
  if (pending_.size() == 1) napi_ref_threadsafe_function(env_, to_javascript_);  // Node stays alive for it
  return Napi::Value(env_, promise);
}

/// C calls this, so it may not throw. It calls Node-API directly and ignores the status: the environment may be ending.
void Environment::settle(uint64_t id) {
  const auto it = pending_.find(id);
  if (it == pending_.end()) return;
  const auto node = pending_.extract(it);
  const Pending& pending = node.mapped();
  if (pending_.empty()) napi_unref_threadsafe_function(env_, to_javascript_);
  const Napi::HandleScope scope(env_);
  napi_value result = nullptr, error = nullptr;
  try {
    cuda::check(pending.status, "queued work");
    result = pending.result(pending.kept.Value());
  } catch (...) {
    error = caught_error(env_);
  }
  if (error) napi_reject_deferred(env_, pending.deferred, error);
  else napi_resolve_deferred(env_, pending.deferred, result);
}

}  // namespace warpdice::device
