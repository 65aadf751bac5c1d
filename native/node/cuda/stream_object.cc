// The classes Stream and Event of binding.d.ts.
#include "node/cuda/classes.h"
#include "node/cuda/environment.h"

namespace warpdice::device {
namespace {

Error disposed(const char* what) {
  return Error("ERR_DISPOSED", std::string("Expected a live ") + what + " but received a disposed one");
}

int to_device(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }

}  // namespace

Napi::Function StreamObject::make_class(Napi::Env env) {
  return DefineClass(
      env, "Stream",
      {InstanceAccessor<&StreamObject::handle>("handle"), InstanceMethod<&StreamObject::done>("done"),
       InstanceMethod<&StreamObject::synchronize>("synchronize"), InstanceMethod<&StreamObject::dispose>("dispose")});
}

StreamObject::StreamObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<StreamObject>(info) {
  Napi::Env env = info.Env();
  guarded(env, [&] {
    const int device = to_device(info[0]);
    if (info[1].IsUndefined()) {
      stream_ = cuda::Stream::create(device);
    } else {
      bool lossless = false;
      const uint64_t handle = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
      stream_ = cuda::Stream::wrap(device, reinterpret_cast<cudaStream_t>(handle));
    }
  });
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

const std::shared_ptr<cuda::Stream>& StreamObject::stream() const {
  if (!stream_) throw disposed("stream");
  return stream_;
}

Napi::Value StreamObject::handle(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return Napi::Value(Napi::BigInt::New(info.Env(), reinterpret_cast<uint64_t>(stream()->handle())));
  });
}

Napi::Value StreamObject::done(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto nothing = [](const Napi::Object& kept) { return kept.Env().Undefined(); };
    return Environment::of(info.Env()).when_done(stream(), info.This().As<Napi::Object>(), nothing);
  });
}

void StreamObject::synchronize(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { stream()->synchronize(); });
}

void StreamObject::dispose(const Napi::CallbackInfo&) { stream_.reset(); }

Napi::Function EventObject::make_class(Napi::Env env) {
  return DefineClass(
      env, "Event",
      {InstanceMethod<&EventObject::record>("record"), InstanceMethod<&EventObject::make_wait>("makeWait"),
       InstanceMethod<&EventObject::synchronize>("synchronize"), InstanceMethod<&EventObject::reached>("reached"),
       InstanceMethod<&EventObject::ipc_handle>("ipcHandle"), InstanceMethod<&EventObject::dispose>("dispose")});
}

EventObject::EventObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EventObject>(info) {
  Napi::Env env = info.Env();
  guarded(env, [&] {
    const int device = to_device(info[0]);
    if (info[1].IsTypedArray()) {
      event_ = std::make_unique<cuda::Event>(device, to_handle<cudaIpcEventHandle_t>(env, info[1]));
    } else {
      event_ = std::make_unique<cuda::Event>(device, info[1].ToBoolean().Value());
    }
  });
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

cuda::Event& EventObject::event() const {
  if (!event_) throw disposed("event");
  return *event_;
}

void EventObject::record(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { event().record(*to_stream(info, 0)); });
}

void EventObject::make_wait(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { event().make_wait(*to_stream(info, 0)); });
}

void EventObject::synchronize(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { event().synchronize(); });
}

Napi::Value EventObject::reached(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const cudaError_t status = event().query();
    if (status != cudaErrorNotReady) cuda::check(status, "cudaEventQuery");
    return Napi::Value(Napi::Boolean::New(info.Env(), status == cudaSuccess));
  });
}

Napi::Value EventObject::ipc_handle(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const cudaIpcEventHandle_t handle = event().ipc_handle();
    const auto* bytes = reinterpret_cast<const uint8_t*>(&handle);
    return Napi::Value(Napi::Buffer<uint8_t>::Copy(info.Env(), bytes, sizeof handle));
  });
}

void EventObject::dispose(const Napi::CallbackInfo&) { event_.reset(); }

}  // namespace warpdice::device
