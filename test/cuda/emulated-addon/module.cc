// The addon on an emulated device: the exports of the addon, and `fake`, by which tests control the fake CUDA runtime.
#include <dlfcn.h>
#include <napi.h>

#include "allocations.h"
#include "cpu/quota.h"
#include "fake.h"
#include "fake_nccl.h"
#include "node/addon.h"
#include "node/cuda/classes.h"
#include "simt.h"

namespace {

cudaStream_t to_stream(const Napi::Value& value) {
  bool lossless = false;
  return reinterpret_cast<cudaStream_t>(value.As<Napi::BigInt>().Uint64Value(&lossless));
}

std::string to_text(const Napi::Value& value) { return value.As<Napi::String>().Utf8Value(); }
int to_int(const Napi::Value& value) { return value.As<Napi::Number>().Int32Value(); }
cudaError_t to_status(const Napi::Value& value) { return static_cast<cudaError_t>(to_int(value)); }

void hold(const Napi::CallbackInfo& info) { fake::hold(to_stream(info[0]), info[1].ToBoolean()); }
void set_fault(const Napi::CallbackInfo& info) { fake::set_fault(to_status(info[0])); }
void fail_next(const Napi::CallbackInfo& info) {
  fake::fail_next(to_text(info[0]), to_status(info[1]), info[2].IsUndefined() ? 0 : to_int(info[2]));
}
void set_devices(const Napi::CallbackInfo& info) {
  fake::set_devices(to_int(info[0]), to_int(info[1]), to_status(info[2]));
}
void set_total_bytes(const Napi::CallbackInfo& info) {
  fake::set_total_bytes(static_cast<size_t>(info[0].As<Napi::Number>().Int64Value()));
}
Napi::Value calls(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), fake::calls(to_text(info[0])));
}
void hold_loads(const Napi::CallbackInfo& info) { fake::hold_loads(info[0].ToBoolean()); }
void unload_kernels(const Napi::CallbackInfo&) { simt::unload_kernels(); }
Napi::Value allocated_bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(fake::allocated_bytes()));
}
/// How much memory outside its heap V8 knows of. Its own statistics leave that out.
Napi::Value external_bytes(const Napi::CallbackInfo& info) {
  const int64_t bytes = Napi::MemoryManagement::AdjustExternalMemory(info.Env(), 0);
  return Napi::Number::New(info.Env(), static_cast<double>(bytes));
}
Napi::Value quota_processors(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), warpdice::cpu::quota_processors(to_text(info[0])));
}
/// failAllocations(first, lasting)
void fail_allocations(const Napi::CallbackInfo& info) {
  fake::fail_allocations(info[0].As<Napi::Number>().Int64Value(), info[1].ToBoolean());
}
Napi::Value allocations(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(fake::allocations()));
}

/// The fake NCCL of this process.
template <class Function>
Function of_nccl(const char* name) {
  static void* library = nullptr;
  if (!library) {
    Dl_info here{};
    dladdr(reinterpret_cast<void*>(of_nccl<Function>), &here);
    const std::string file = here.dli_fname;
    library = dlopen((file.substr(0, file.rfind('/')) + "/libnccl_fake.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  }
  return reinterpret_cast<Function>(dlsym(library, name));
}
void use_nccl(const Napi::CallbackInfo&) { of_nccl<fake_nccl::Use>("fake_nccl_use")(fake::enqueue); }
/// failNccl(function, result)
void fail_nccl(const Napi::CallbackInfo& info) {
  of_nccl<fake_nccl::Fail>("fake_nccl_fail")(to_text(info[0]).c_str(), to_int(info[1]));
}
Napi::Value nccl_log(const Napi::CallbackInfo& info) {
  std::string text;
  of_nccl<fake_nccl::Log>("fake_nccl_log")(&text);
  return Napi::String::New(info.Env(), text);
}

}  // namespace

static Napi::Object init_emulated(Napi::Env env, Napi::Object exports) {
  Napi::Object fakes = Napi::Object::New(env);
  fakes.Set("hold", Napi::Function::New<hold>(env, "hold"));
  fakes.Set("setFault", Napi::Function::New<set_fault>(env, "setFault"));
  fakes.Set("failNext", Napi::Function::New<fail_next>(env, "failNext"));
  fakes.Set("setDevices", Napi::Function::New<set_devices>(env, "setDevices"));
  fakes.Set("setTotalBytes", Napi::Function::New<set_total_bytes>(env, "setTotalBytes"));
  fakes.Set("calls", Napi::Function::New<calls>(env, "calls"));
  fakes.Set("holdLoads", Napi::Function::New<hold_loads>(env, "holdLoads"));
  fakes.Set("unloadKernels", Napi::Function::New<unload_kernels>(env, "unloadKernels"));
  fakes.Set("allocatedBytes", Napi::Function::New<allocated_bytes>(env, "allocatedBytes"));
  fakes.Set("externalBytes", Napi::Function::New<external_bytes>(env, "externalBytes"));
  fakes.Set("quotaProcessors", Napi::Function::New<quota_processors>(env, "quotaProcessors"));
  fakes.Set("failAllocations", Napi::Function::New<fail_allocations>(env, "failAllocations"));
  fakes.Set("allocations", Napi::Function::New<allocations>(env, "allocations"));
  fakes.Set("useNccl", Napi::Function::New<use_nccl>(env, "useNccl"));
  fakes.Set("failNccl", Napi::Function::New<fail_nccl>(env, "failNccl"));
  fakes.Set("ncclLog", Napi::Function::New<nccl_log>(env, "ncclLog"));
  exports.Set("fake", fakes);
  warpdice::device::export_devices(env, exports, warpdice::init(env, exports));
  return exports;
}
NODE_API_MODULE(warpdice_emulated, init_emulated)
