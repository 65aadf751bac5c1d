// The class Communicator of binding.d.ts, and the functions that open NCCL.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "nccl/library.h"
#include "node/codes.h"
#include "node/cuda/classes.h"

namespace warpdice::device {
namespace {

nccl::UniqueId to_unique_id(Napi::Env env, const Napi::Value& value) {
  const Memory memory = memory_of(env, value, "id");
  nccl::UniqueId id{};
  if (memory.size_bytes != sizeof id) throw Napi::RangeError::New(env, "Expected 128 bytes for id");
  std::memcpy(&id, memory.data, sizeof id);
  return id;
}

int integer(const Napi::Value& value) { return value.ToNumber().Int32Value(); }

/// Device memory for the faults of a sum that begins without any, or with those of what it adds.
std::shared_ptr<cuda::DeviceMemory> faults_like(const Origin& origin, const std::shared_ptr<cuda::Stream>& stream) {
  auto faults = cuda::DeviceMemory::allocate(stream, sizeof(LabelFault));
  cuda::use_device(stream->device());
  if (!origin.faults) {
    cuda::check(cudaMemsetAsync(faults->data(), 0, sizeof(LabelFault), stream->handle()), "cudaMemsetAsync");
    return faults;
  }
  origin.faults->used_on(stream, cuda::Access::read);
  cuda::check(cudaMemcpyAsync(faults->data(), origin.faults->data(), sizeof(LabelFault), cudaMemcpyDeviceToDevice,
                              stream->handle()),
              "cudaMemcpyAsync");
  return faults;
}

}  // namespace

/// openNccl(path): { path, version } of the library that this process uses.
Napi::Value open_nccl(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto library = nccl::Library::open(info[0].ToString());
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("path", library->path());
    result.Set("version", library->version());
    return Napi::Value(result);
  });
}

/// ncclUniqueId(): 128 bytes.
Napi::Value nccl_unique_id(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const nccl::UniqueId id = nccl::Library::opened()->unique_id();
    const auto* bytes = reinterpret_cast<const uint8_t*>(id.bytes);
    Napi::Uint8Array result = Napi::Uint8Array::New(info.Env(), sizeof id);
    std::copy(bytes, bytes + sizeof id, result.Data());
    return Napi::Value(result);
  });
}

Napi::Function CommunicatorObject::make_class(Napi::Env env) {
  return DefineClass(
      env, "Communicator",
      {InstanceMethod<&CommunicatorObject::ready>("ready"), InstanceMethod<&CommunicatorObject::idle>("idle"),
       InstanceMethod<&CommunicatorObject::begin_close>("beginClose"),
       InstanceMethod<&CommunicatorObject::add_sums>("addSums"),
       InstanceMethod<&CommunicatorObject::add_array>("addArray")});
}

/// new Communicator(device, ranks, rank, id, timeout)
CommunicatorObject::CommunicatorObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CommunicatorObject>(info) {
  guarded(info.Env(), [&] {
    const auto timeout = std::chrono::duration<double, std::milli>(info[4].ToNumber().DoubleValue());
    communicator_ = nccl::Communicator::begin(integer(info[0]), integer(info[1]), integer(info[2]),
                                              to_unique_id(info.Env(), info[3]),
                                              std::chrono::duration_cast<nccl::Clock::duration>(timeout));
  });
  info.This().As<Napi::Object>().TypeTag(&kTag);
}

Napi::Value CommunicatorObject::ready(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Value(Napi::Boolean::New(info.Env(), communicator_->ready())); });
}

Napi::Value CommunicatorObject::idle(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), communicator_->idle());
}

void CommunicatorObject::begin_close(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] { communicator_->begin_close(); });
}

/// addSums(from, to, name, stream)
void CommunicatorObject::add_sums(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, 3);
    Span &from = to_span(info, 0), &to = to_span(info, 1);
    if (from.size_bytes != to.size_bytes || from.size_bytes % sizeof(double)) {
      throw Napi::RangeError::New(info.Env(), "Expected as many sums in both arrays");
    }
    const auto sums = static_cast<int64_t>(from.size_bytes / sizeof(double));
    const auto ranks = std::make_shared<const cuda::AllRanks>(communicator_, info[2].ToString(), sums, stream);
    ranks->expect_usable(*stream);
    const auto faults = faults_like(from.origin, stream);
    to.memory->used_on(stream, cuda::Access::write);
    from.memory->used_on(stream, cuda::Access::read);
    cuda::use_device(stream->device());
    const auto copy = [&](void* target, const void* source) {
      cuda::check(cudaMemcpyAsync(target, source, from.size_bytes, cudaMemcpyDeviceToDevice, stream->handle()),
                  "cudaMemcpyAsync");
    };
    copy(ranks->sums(), from.data());
    cuda::check(ranks->enqueue(static_cast<LabelFault*>(faults->data()), stream->handle()), "a kernel launch");
    copy(to.data(), ranks->sums());
    communicator_->watch(*stream);
    to.origin = {faults, ranks};
  });
}

/// addArray(array, dtype, name, stream)
void CommunicatorObject::add_array(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const auto& stream = to_stream(info, 3);
    Span& array = to_span(info, 0);
    const DType dtype = to_dtype(info.Env(), info[1]);
    if (array.size_bytes % size_of(dtype)) throw Napi::RangeError::New(info.Env(), "Expected whole elements for array");
    const auto ranks = std::make_shared<const cuda::AllRanks>(communicator_, info[2].ToString(), 0, stream);
    ranks->expect_usable(*stream);
    const auto faults = faults_like(array.origin, stream);
    array.memory->used_on(stream, cuda::Access::write);
    cuda::use_device(stream->device());
    cuda::check(ranks->enqueue_array(array.data(), array.size_bytes / size_of(dtype), dtype,
                                     static_cast<LabelFault*>(faults->data()), stream->handle()),
                "a kernel launch");
    communicator_->watch(*stream);
    array.origin = {faults, ranks};
  });
}

}  // namespace warpdice::device
