// The class Buffer of binding.d.ts: memory on a device, and what moves in and out of it.
#include <algorithm>
#include <cstring>

#include "cpu/engine.h"
#include "cuda/runtime/transfer.h"
#include "node/cuda/classes.h"
#include "node/cuda/environment.h"

namespace warpdice::device {
namespace {

/// What V8 is told that a Buffer takes, at most: enough to make it collect Buffers that nobody disposed. Device memory
/// is no part of V8's heap.
constexpr size_t kMaxReportedBytes = 1 << 20;

/// A copy to the host that may still run, and the faults of the call that wrote what it copies.
struct PendingRead {
  std::shared_ptr<cuda::Download> data, faults;
  std::shared_ptr<const cuda::AllRanks> ranks;

  PendingRead(const Span& from, bool with_data) : ranks(from.origin.ranks) {
    if (const auto& written = from.origin.faults) {
      written->used_on(from.memory->last_stream(), cuda::Access::read);
      faults = std::make_shared<cuda::Download>(*written, 0, sizeof(LabelFault));
    }
    if (with_data) data = std::make_shared<cuda::Download>(*from.memory, from.offset_bytes, from.size_bytes);
  }

  /// Throws when the call found invalid labels, or ranks that did not do the same.
  void check(Napi::Env env) const {
    if (!faults) return;
    LabelFault fault;
    std::memcpy(&fault, faults->data(), sizeof fault);
    if (ranks) ranks->check(fault);
    if (fault.count != 0) throw label_error(env, fault);
  }
};

/// The memory of the array. Throws unless it is as large as the buffer.
Memory to_memory(Napi::Env env, const Napi::Value& array, size_t size_bytes) {
  const Memory memory = memory_of(env, array, "array");
  if (memory.size_bytes != size_bytes) {
    throw Napi::RangeError::New(env, "Expected " + std::to_string(size_bytes) + " bytes for array but received " +
                                         std::to_string(memory.size_bytes));
  }
  return memory;
}

}  // namespace

Memory memory_of_buffer(Napi::Env env, napi_value buffer, const char* name) {
  const Span& span = unwrap<BufferObject>(env, Napi::Value(env, buffer), name).span();
  return {span.data(), span.size_bytes, true};
}

Napi::Function BufferObject::make_class(Napi::Env env) {
  return DefineClass(
      env, "Buffer",
      {InstanceAccessor<&BufferObject::pointer>("pointer"), InstanceAccessor<&BufferObject::size>("sizeBytes"),
       InstanceMethod<&BufferObject::view>("view"), InstanceMethod<&BufferObject::ipc_handle>("ipcHandle"),
       InstanceMethod<&BufferObject::fill>("fill"), InstanceMethod<&BufferObject::write>("write"),
       InstanceMethod<&BufferObject::read>("read"), InstanceMethod<&BufferObject::read_sync>("readSync"),
       InstanceMethod<&BufferObject::settled>("settled"), InstanceMethod<&BufferObject::dispose>("dispose")});
}

Napi::Value BufferObject::create(Napi::Env env, Span span) {
  return Environment::of(env).buffer_class.New({Napi::External<Span>::New(env, &span)});
}

BufferObject::BufferObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BufferObject>(info) {
  Napi::Env env = info.Env();
  if (!info[0].IsExternal()) throw Napi::TypeError::New(env, "Expected a buffer to be made by allocate, wrap or open");
  span_ = *info[0].As<Napi::External<Span>>().Data();
  info.This().As<Napi::Object>().TypeTag(&kTag);
  reported_bytes_ = static_cast<int64_t>(std::min(span_.size_bytes, kMaxReportedBytes));
  Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
}

void BufferObject::Finalize(Napi::BasicEnv env) {
  if (live_) Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
}

void BufferObject::dispose(const Napi::CallbackInfo& info) {
  if (!live_) return;
  live_ = false;
  span_ = {};
  Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -reported_bytes_);
}

Span& BufferObject::span() {
  if (!live_) throw Error("ERR_DISPOSED", "Expected a live tensor but received a disposed one");
  return span_;
}

Napi::Value BufferObject::pointer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return Napi::Value(Napi::BigInt::New(info.Env(), reinterpret_cast<uint64_t>(span().data()))); });
}

Napi::Value BufferObject::size(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return Napi::Value(Napi::Number::New(info.Env(), static_cast<double>(span().size_bytes))); });
}

/// view(offsetBytes, sizeBytes)
Napi::Value BufferObject::view(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int64_t offset = info[0].As<Napi::Number>().Int64Value(), size = info[1].As<Napi::Number>().Int64Value();
    const auto whole = static_cast<int64_t>(span().size_bytes);
    if (offset < 0 || size < 0 || offset > whole || size > whole - offset) {
      throw Napi::RangeError::New(info.Env(), "Expected a part of the buffer");
    }
    Span part = span();
    part.offset_bytes += static_cast<size_t>(offset);
    part.size_bytes = static_cast<size_t>(size);
    return create(info.Env(), part);
  });
}

Napi::Value BufferObject::ipc_handle(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const cudaIpcMemHandle_t handle = span().memory->handle();
    Napi::Object result = Napi::Object::New(info.Env());
    const auto* bytes = reinterpret_cast<const uint8_t*>(&handle);
    result.Set("handle", Napi::Buffer<uint8_t>::Copy(info.Env(), bytes, sizeof handle));
    result.Set("offsetBytes", static_cast<double>(span().offset_bytes));
    return Napi::Value(result);
  });
}

/// fill(stream): with zeros
void BufferObject::fill(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, 0);
    span().memory->used_on(stream, cuda::Access::write);
    cuda::use_device(stream->device());
    cuda::check(cudaMemsetAsync(span().data(), 0, span().size_bytes, stream->handle()), "cudaMemsetAsync");
    span().origin = {};
  });
}

/// write(stream, array)
void BufferObject::write(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Memory from = to_memory(info.Env(), info[1], span().size_bytes);
    cuda::upload(from.data, *span().memory, span().offset_bytes, from.size_bytes, to_stream(info, 0));
    span().origin = {};
  });
}

/// read(array): nobody may touch the array until the promise resolves to it. Shared memory is written off the event
/// loop; any other could be detached meanwhile.
Napi::Value BufferObject::read(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Memory to = to_memory(info.Env(), info[0], span().size_bytes);
    const PendingRead pending(span(), true);
    std::function<void()> copy_shared;
    if (to.shared) copy_shared = [=] { std::memcpy(to.data, pending.data->data(), to.size_bytes); };
    const auto result = [=](const Napi::Object& array) {
      pending.check(array.Env());
      if (!to.shared) {
        const Memory now = to_memory(array.Env(), array, to.size_bytes);
        cpu::copy(now.data, pending.data->data(), now.size_bytes);
      }
      return Napi::Value(array);
    };
    return Environment::of(info.Env())
        .when_done(span().memory->last_stream(), info[0].As<Napi::Object>(), result, std::move(copy_shared));
  });
}

/// readSync(array)
void BufferObject::read_sync(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Memory to = to_memory(info.Env(), info[0], span().size_bytes);
    const PendingRead pending(span(), true);
    span().memory->last_stream()->synchronize();
    pending.check(info.Env());
    cpu::copy(to.data, pending.data->data(), to.size_bytes);
  });
}

/// settled(): resolves when the work is done, and rejects when the call found invalid labels
Napi::Value BufferObject::settled(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const PendingRead pending(span(), false);
    const auto result = [=](const Napi::Object& kept) {
      pending.check(kept.Env());
      return kept.Env().Undefined();
    };
    return Environment::of(info.Env()).when_done(span().memory->last_stream(), info.This().As<Napi::Object>(), result);
  });
}

}  // namespace warpdice::device
