// What the addon exports for CUDA: the classes, the functions that make Buffers, and those that ask about devices.
#include "cuda/runtime/devices.h"
#include "node/cuda/classes.h"
#include "node/cuda/environment.h"

namespace warpdice::device {
namespace {

size_t to_size(const Napi::Value& value) {
  const int64_t size = value.As<Napi::Number>().Int64Value();
  if (size < 1) throw Napi::RangeError::New(value.Env(), "Expected a size from 1");
  return static_cast<size_t>(size);
}

Napi::Value devices(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  return guarded(env, [&] {
    const cuda::DeviceList list = cuda::list_devices();
    Napi::Object result = Napi::Object::New(env);
    Napi::Array devices = Napi::Array::New(env);
    for (const cuda::DeviceInfo& device : list.devices) {
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("index", device.index);
      entry.Set("name", device.name);
      entry.Set("computeCapability", std::to_string(device.major) + "." + std::to_string(device.minor));
      entry.Set("memoryBytes", static_cast<double>(device.memory_bytes));
      devices.Set(devices.Length(), entry);
    }
    result.Set("devices", devices);
    result.Set("error", list.error);
    result.Set("driverVersion", list.driver_version);
    result.Set("runtimeVersion", list.runtime_version);
    return Napi::Value(result);
  });
}

/// memory(device)
Napi::Value memory(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const int device = info[0].As<Napi::Number>().Int32Value();
    const cuda::MemoryInfo driver = cuda::memory_info(device);
    const cuda::MemoryUse use = cuda::memory_use(device);
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("freeBytes", static_cast<double>(driver.free_bytes));
    result.Set("totalBytes", static_cast<double>(driver.total_bytes));
    result.Set("aliveBytes", static_cast<double>(use.alive_bytes));
    result.Set("peakBytes", static_cast<double>(use.peak_bytes));
    return Napi::Value(result);
  });
}

/// allocate(stream, sizeBytes, exportable)
Napi::Value allocate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const size_t size = to_size(info[1]);
    const auto& stream = to_stream(info, 0);
    const bool exportable = info[2].ToBoolean();
    return BufferObject::create(info.Env(), {exportable ? cuda::DeviceMemory::allocate_exportable(stream, size)
                                                        : cuda::DeviceMemory::allocate(stream, size),
                                             0, size});
  });
}

/// wrap(stream, pointer, sizeBytes)
Napi::Value wrap(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    bool lossless = false;
    void* data = reinterpret_cast<void*>(info[1].As<Napi::BigInt>().Uint64Value(&lossless));
    const size_t size = to_size(info[2]);
    return BufferObject::create(info.Env(), {cuda::DeviceMemory::wrap(to_stream(info, 0), data, size), 0, size});
  });
}

/// open(stream, handle, offsetBytes, sizeBytes)
Napi::Value open(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto handle = to_handle<cudaIpcMemHandle_t>(info.Env(), info[1]);
    const int64_t offset = info[2].As<Napi::Number>().Int64Value();
    const size_t size = to_size(info[3]);
    if (offset < 0) throw Napi::RangeError::New(info.Env(), "Expected an offset from 0");
    const auto begin = static_cast<size_t>(offset);
    return BufferObject::create(info.Env(),
                                {cuda::DeviceMemory::open(to_stream(info, 0), handle, begin + size), begin, size});
  });
}

}  // namespace

void export_devices(Napi::Env env, Napi::Object exports, AsyncQueue& queue) {
  Environment& environment = Environment::of(env);
  environment.buffer_class = Napi::Persistent(BufferObject::make_class(env));
  environment.plan_class = Napi::Persistent(make_device_plan_class(env));
  Napi::Object cuda = Napi::Object::New(env);
  cuda.Set("Stream", StreamObject::make_class(env));
  cuda.Set("Event", EventObject::make_class(env));
  cuda.Set("DeviceLoss", make_device_loss_class(env));
  cuda.Set("count", Napi::Function::New<count_classes>(env, "count"));
  cuda.Set("predictLinear", Napi::Function::New<predict_on_device>(env, "predictLinear"));
  cuda.Set("resampleNearest", Napi::Function::New<resample_on_device>(env, "resampleNearest"));
  cuda.Set("addWeighted", Napi::Function::New<add_weighted>(env, "addWeighted"));
  cuda.Set("Communicator", CommunicatorObject::make_class(env));
  cuda.Set("openNccl", Napi::Function::New<open_nccl>(env, "openNccl"));
  cuda.Set("ncclUniqueId", Napi::Function::New<nccl_unique_id>(env, "ncclUniqueId"));
  cuda.Set("devices", Napi::Function::New<devices>(env, "devices"));
  cuda.Set("memory", Napi::Function::New<memory>(env, "memory"));
  cuda.Set("allocate", Napi::Function::New<allocate>(env, "allocate"));
  cuda.Set("wrap", Napi::Function::New<wrap>(env, "wrap"));
  cuda.Set("open", Napi::Function::New<open>(env, "open"));
  cuda.Set("loadKernels", Napi::Function::New<load_kernels>(env, "loadKernels", &queue));
  exports.Set("cuda", cuda);
}

}  // namespace warpdice::device
