#include "node/cuda/environment.h"

#include "node/napi_util.h"

namespace warpdice::device {

/// What the thread of Completion passes to JavaScript's thread.
struct Environment::Settlement {
  uint64_t id;
  cudaError_t status;
};

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
    const std::unique_ptr<Settlement> settlement(static_cast<Settlement*>(data));
    if (env) static_cast<Environment*>(context)->settle(settlement->id, settlement->status);
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

Napi::Value Environment::when_done(const std::shared_ptr<cuda::Stream>& stream, const Napi::Object& keep,
                                   Result result) {
  if (!completion_) start();
  napi_value promise;
  Pending pending;
  if (napi_create_promise(env_, &pending.deferred, &promise) != napi_ok) throw Napi::Error::New(env_);
  pending.kept = Napi::Persistent(keep);
  pending.result = std::move(result);
  const uint64_t id = ++last_id_;
  pending_.emplace(id, std::move(pending));
  try {
    completion_->when_done(stream, [function = to_javascript_, id](cudaError_t status) {
      auto* settlement = new Settlement{id, status};
      if (napi_call_threadsafe_function(function, settlement, napi_tsfn_nonblocking) != napi_ok) delete settlement;
    });
  } catch (...) {
    pending_.erase(id);
    throw;
  }
  if (pending_.size() == 1) napi_ref_threadsafe_function(env_, to_javascript_);  // Node stays alive for it
  return Napi::Value(env_, promise);
}

/// C calls this, so it may not throw. It calls Node-API directly and ignores the status: the environment may be ending.
void Environment::settle(uint64_t id, cudaError_t status) {
  const auto it = pending_.find(id);
  if (it == pending_.end()) return;
  Pending pending = std::move(it->second);
  pending_.erase(it);
  if (pending_.empty()) napi_unref_threadsafe_function(env_, to_javascript_);
  const Napi::HandleScope scope(env_);
  try {
    try {
      guarded(env_, [&] {
        cuda::check(status, "queued work");
        napi_resolve_deferred(env_, pending.deferred, pending.result(pending.kept.Value()));
      });
    } catch (const Napi::Error& error) {
      napi_reject_deferred(env_, pending.deferred, error.Value());
    }
  } catch (...) {
    // There was no memory for the error: the promise stays pending.
  }
}

}  // namespace warpdice::device
