// The addon of warpdice/mpi, as lib/mpi/native.ts describes it. Nothing of it is in the package's main addon.
#include <napi.h>

#include <chrono>
#include <memory>
#include <string>

#include "math/error.h"
#include "mpi/engine.h"
#include "node/errors.h"
#include "node/mpi/call.h"
#include "node/mpi/inbox.h"

namespace warpdice::mpi {
namespace {

Clock::duration milliseconds(const Napi::Value& value) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double, std::milli>(value.ToNumber().DoubleValue()));
}

int integer(const Napi::Value& value) { return value.ToNumber().Int32Value(); }

/// open(path): { path, library, abi } of the library that this process uses.
Napi::Value open(const Napi::CallbackInfo& info) {
  const Version& version = Engine::instance().open(info[0].ToString());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("path", version.path);
  result.Set("library", version.library);
  result.Set("abi", version.abi);
  return result;
}

class Start final : public Letter {
 public:
  napi_value open(Napi::Env env) override {
    if (!error.empty()) throw Error("ERR_MPI", error);
    return env.Undefined();
  }
  std::string error;
};

/// start(): a promise for MPI_Init_thread. Node does not wait for it.
Napi::Value start(const Napi::CallbackInfo& info) {
  const auto inbox = Inbox::of(info.Env());
  const auto letter = std::make_shared<Start>();
  const napi_value promise = inbox->expect(*letter, false);
  Engine::instance().start([inbox, letter](const std::string& error) {
    letter->error = error;
    inbox->post(letter);
  });
  return {info.Env(), promise};
}

/// connect(channel, name, timeout): a promise; communicatorOf(channel) then gives its number.
Napi::Value connect(const Napi::CallbackInfo& info) {
  const int channel = integer(info[0]);
  const auto limit = milliseconds(info[2]);
  const auto call = std::make_shared<Call>(Kind::barrier, info[1].ToString().Utf8Value(), 0, limit);
  const napi_value promise = call->promise(info.Env(), nullptr);
  Engine::instance().wait_at_exit(limit);
  const auto inbox = Inbox::of(info.Env());
  try {
    if (Engine::instance().connect(channel, inbox.get(), call)) return {info.Env(), promise};
  } catch (...) {
    inbox->forget(*call);
    throw;
  }
  inbox->forget(*call);
  throw Error("ERR_MPI",
              "Expected a channel of its own for each thread but another thread of this process has channel " +
                  std::to_string(channel));
}

Napi::Value communicator_of(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), Engine::instance().communicator_of(integer(info[0])));
}

/// place(communicator): [rank, size].
Napi::Value place(const Napi::CallbackInfo& info) {
  const Place place = Engine::instance().place(integer(info[0]));
  Napi::Array result = Napi::Array::New(info.Env(), 2);
  result.Set(0u, place.rank);
  result.Set(1u, place.size);
  return result;
}

/// call(communicator, kind, name, array, element, first, second, timeout, waits): a number, or a promise of one.
Napi::Value call(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int communicator = integer(info[0]);
  const auto kind = static_cast<Kind>(integer(info[1]));
  const napi_value array = info[3].IsUndefined() ? nullptr : static_cast<napi_value>(info[3]);
  const double extra = kind == Kind::sum ? info[5].ToNumber().DoubleValue() : 0;
  const auto call = std::make_shared<Call>(kind, info[2].ToString().Utf8Value(), extra, milliseconds(info[7]));
  if (array) call->read(env, array, static_cast<Element>(integer(info[4])));
  if (kind == Kind::broadcast) call->root = integer(info[5]);
  if (kind == Kind::split) {
    call->color = integer(info[5]);
    call->key = integer(info[6]);
  }
  if (info[8].ToBoolean()) {
    Engine::instance().add(communicator, call);
    Engine::instance().wait(*call);
    return Napi::Number::New(env, call->write(env, array));
  }
  const napi_value promise = call->promise(env, array);
  try {
    Engine::instance().add(communicator, call);
  } catch (...) {
    Inbox::of(env)->forget(*call);
    throw;
  }
  return {env, promise};
}

template <Napi::Value (*function)(const Napi::CallbackInfo&)>
Napi::Value exported(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return function(info); });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New<exported<open>>(env, "open"));
  exports.Set("start", Napi::Function::New<exported<start>>(env, "start"));
  exports.Set("connect", Napi::Function::New<exported<connect>>(env, "connect"));
  exports.Set("communicatorOf", Napi::Function::New<exported<communicator_of>>(env, "communicatorOf"));
  exports.Set("place", Napi::Function::New<exported<place>>(env, "place"));
  exports.Set("call", Napi::Function::New<exported<call>>(env, "call"));
  return exports;
}

}  // namespace
}  // namespace warpdice::mpi

static Napi::Object init_warpdice_mpi(Napi::Env env, Napi::Object exports) { return warpdice::mpi::init(env, exports); }
NODE_API_MODULE(warpdice_mpi, init_warpdice_mpi)
