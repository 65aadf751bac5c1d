#pragma once
// The classes Stream, Event and Buffer of binding.d.ts, and the functions and classes that other files of this folder
// export.
#include <napi.h>

#include <cstring>
#include <memory>

#include "cuda/all_ranks.h"
#include "cuda/engine.h"
#include "cuda/runtime/memory.h"
#include "node/async_queue.h"
#include "node/napi_util.h"

namespace warpdice::device {

/// The C++ object of a JavaScript object. Throws an error that names the argument when the object is of another class.
template <class T>
T& unwrap(Napi::Env env, const Napi::Value& value, const char* name) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&T::kTag)) {
    throw Napi::TypeError::New(env, std::string("Expected ") + T::kName + " for " + name);
  }
  return *T::Unwrap(value.As<Napi::Object>());
}

class StreamObject : public Napi::ObjectWrap<StreamObject> {
 public:
  static constexpr napi_type_tag kTag = {0x7761727064696365, 0x73747265616d0001};
  static constexpr const char* kName = "a Stream";
  static Napi::Function make_class(Napi::Env env);

  explicit StreamObject(const Napi::CallbackInfo& info);
  /// Throws when disposed.
  const std::shared_ptr<cuda::Stream>& stream() const;

 private:
  Napi::Value handle(const Napi::CallbackInfo& info);
  Napi::Value done(const Napi::CallbackInfo& info);
  void synchronize(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  std::shared_ptr<cuda::Stream> stream_;
};

/// The stream of an argument; throws when disposed.
inline const std::shared_ptr<cuda::Stream>& to_stream(const Napi::CallbackInfo& info, size_t argument) {
  return unwrap<StreamObject>(info.Env(), info[argument], "stream").stream();
}

/// The bytes of an IPC handle.
template <class Handle>
Handle to_handle(Napi::Env env, const Napi::Value& value) {
  const Memory memory = memory_of(env, value, "handle");
  Handle handle;
  if (memory.size_bytes != sizeof handle) throw Napi::RangeError::New(env, "Expected 64 bytes for handle");
  std::memcpy(&handle, memory.data, sizeof handle);
  return handle;
}

class EventObject : public Napi::ObjectWrap<EventObject> {
 public:
  static constexpr napi_type_tag kTag = {0x7761727064696365, 0x6576656e74000002};
  static constexpr const char* kName = "an Event";
  static Napi::Function make_class(Napi::Env env);

  explicit EventObject(const Napi::CallbackInfo& info);

 private:
  cuda::Event& event() const;
  void record(const Napi::CallbackInfo& info);
  void make_wait(const Napi::CallbackInfo& info);
  void synchronize(const Napi::CallbackInfo& info);
  Napi::Value reached(const Napi::CallbackInfo& info);
  Napi::Value ipc_handle(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);
  std::unique_ptr<cuda::Event> event_;
};

/// What whoever reads a result is told of the call that wrote it.
struct Origin {
  std::shared_ptr<cuda::DeviceMemory> faults;   // its LabelFault; null: no such call
  std::shared_ptr<const cuda::AllRanks> ranks;  // those that took part; null: this one alone
};

/// A part of a device allocation.
struct Span {
  std::shared_ptr<cuda::DeviceMemory> memory;
  size_t offset_bytes = 0, size_bytes = 0;
  Origin origin = {};

  char* data() const { return static_cast<char*>(memory->data()) + offset_bytes; }
};

class BufferObject : public Napi::ObjectWrap<BufferObject> {
 public:
  static constexpr napi_type_tag kTag = {0x7761727064696365, 0x6275666665720003};
  static constexpr const char* kName = "a Buffer";
  static Napi::Function make_class(Napi::Env env);
  static Napi::Value create(Napi::Env env, Span span);

  explicit BufferObject(const Napi::CallbackInfo& info);
  void Finalize(Napi::BasicEnv env) override;
  /// Throws when disposed.
  Span& span();

 private:
  Napi::Value pointer(const Napi::CallbackInfo& info);
  Napi::Value size(const Napi::CallbackInfo& info);
  Napi::Value view(const Napi::CallbackInfo& info);
  Napi::Value ipc_handle(const Napi::CallbackInfo& info);
  void fill(const Napi::CallbackInfo& info);
  void write(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  void read_sync(const Napi::CallbackInfo& info);
  Napi::Value settled(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  Span span_;
  bool live_ = true;
  int64_t reported_bytes_ = 0;  // to V8
};

/// The part of an argument that is a Buffer; throws when disposed.
inline Span& to_span(const Napi::CallbackInfo& info, size_t argument) {
  return unwrap<BufferObject>(info.Env(), info[argument], "an array").span();
}

/// The memory of a Buffer. It takes the place of memory_of(), which gives that of arrays on the host.
Memory memory_of_buffer(Napi::Env env, napi_value buffer, const char* name);

/// The function `count`.
Napi::Value count_classes(const Napi::CallbackInfo& info);

/// The function `predictLinear`.
Napi::Value predict_on_device(const Napi::CallbackInfo& info);

/// The functions `resampleNearest` and `addWeighted`.
Napi::Value resample_on_device(const Napi::CallbackInfo& info);
Napi::Value add_weighted(const Napi::CallbackInfo& info);

class CommunicatorObject : public Napi::ObjectWrap<CommunicatorObject> {
 public:
  static constexpr napi_type_tag kTag = {0x7761727064696365, 0x72616e6b73000004};
  static constexpr const char* kName = "a Communicator";
  static Napi::Function make_class(Napi::Env env);

  explicit CommunicatorObject(const Napi::CallbackInfo& info);
  const std::shared_ptr<nccl::Communicator>& communicator() const { return communicator_; }

 private:
  Napi::Value ready(const Napi::CallbackInfo& info);
  Napi::Value idle(const Napi::CallbackInfo& info);
  void begin_close(const Napi::CallbackInfo& info);
  void add_sums(const Napi::CallbackInfo& info);
  void add_array(const Napi::CallbackInfo& info);
  std::shared_ptr<nccl::Communicator> communicator_;
};

/// The functions `openNccl` and `ncclUniqueId`.
Napi::Value open_nccl(const Napi::CallbackInfo& info);
Napi::Value nccl_unique_id(const Napi::CallbackInfo& info);

/// The class `DeviceLoss`.
Napi::Function make_device_loss_class(Napi::Env env);
/// The class `DevicePlan`, whose objects DeviceLoss makes.
Napi::Function make_device_plan_class(Napi::Env env);

/// The function `loadKernels`; its data is the AsyncQueue.
Napi::Value load_kernels(const Napi::CallbackInfo& info);

/// Adds all of it to the addon's exports. queue: that of the environment.
void export_devices(Napi::Env env, Napi::Object exports, AsyncQueue& queue);

}  // namespace warpdice::device
