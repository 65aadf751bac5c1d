// The exports of the addon, as binding.d.ts describes them.
#include "node/addon.h"

#include "cpu/engine.h"
#include "cpu/memory/huge_pages.h"
#include "cpu/run.h"
#include "node/contract.h"
#include "node/counts_class.h"
#include "node/loss_class.h"
#include "node/napi_util.h"
#include "node/predict_function.h"
#include "node/resample_function.h"
#include "node/surface_function.h"

namespace warpdice {
namespace {

Napi::Value set_threads(const Napi::CallbackInfo& info) {
  cpu::set_threads(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

Napi::Value get_threads(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), cpu::threads()); }

Napi::Value simd_target(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), cpu::simd_target()); }

/// The compiler of this file. Results differ in the last bits between compilers.
Napi::Value compiler(const Napi::CallbackInfo& info) {
#if defined(__clang__)
  const std::string name = "Clang " + std::to_string(__clang_major__);
#else
  const std::string name = "GCC " + std::to_string(__GNUC__);
#endif
  return Napi::String::New(info.Env(), name);
}

/// The strategy of this thread's last synchronous call; null before the first. For the benchmark and for tests.
Napi::Value last_strategy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const cpu::Strategy* strategy = cpu::last_strategy();
  if (!strategy) return env.Null();
  Napi::Object result = Napi::Object::New(env);
  result.Set("fusesSteps", strategy->fuses_steps);
  result.Set("reusesProbabilities", strategy->reuses_probabilities);
  result.Set("streams", strategy->streams);
  result.Set("samplesAtOnce", static_cast<double>(strategy->samples_at_once));
  return result;
}

Napi::Value prefer_huge_pages(const Napi::CallbackInfo& info) {
  const Memory memory = memory_of(info.Env(), info[0], "array");
  cpu::prefer_huge_pages(memory.data, memory.size_bytes);
  return info.Env().Undefined();
}

Napi::Value bytes_to_line(const Napi::CallbackInfo& info) {
  constexpr uintptr_t kLineBytes = 64;
  const uintptr_t at = reinterpret_cast<uintptr_t>(memory_of(info.Env(), info[0], "array").data);
  return Napi::Number::New(info.Env(), static_cast<double>((kLineBytes - at % kLineBytes) % kLineBytes));
}

/// For finding arrays of one memory: several SharedArrayBuffer objects can be of the same.
Napi::Value address_of(const Napi::CallbackInfo& info) {
  const auto at = reinterpret_cast<uintptr_t>(memory_of(info.Env(), info[0], "array").data);
  return Napi::Number::New(info.Env(), static_cast<double>(at));  // exact: user addresses have at most 52 bits
}

/// reportMemory(holder, bytes): V8 counts the bytes until it collects the holder. A finalizer takes them off again.
Napi::Value report_memory(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int64_t bytes = info[1].As<Napi::Number>().Int64Value();
  if (!info[0].IsObject() || bytes < 0) throw Napi::TypeError::New(env, "Expected an object and a number of bytes");
  const auto forget = [](napi_env raw, void* data, void*) {
    int64_t left = 0;
    napi_adjust_external_memory(raw, -static_cast<int64_t>(reinterpret_cast<intptr_t>(data)), &left);
  };
  void* data = reinterpret_cast<void*>(static_cast<intptr_t>(bytes));
  if (napi_add_finalizer(env, info[0], data, forget, nullptr, nullptr) != napi_ok) throw Napi::Error::New(env);
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  return env.Undefined();
}

}  // namespace

AsyncQueue& init(Napi::Env env, Napi::Object exports) {
  AsyncQueue& async = AsyncQueue::make(env);
  exports.Set("contract", make_contract(env));
  exports.Set("Loss", make_loss_class(env, async));
  exports.Set("Counts", make_counts_class(env, async));
  exports.Set("resampleNearest", Napi::Function::New<resample_nearest>(env, "resampleNearest"));
  exports.Set("predictLinear", Napi::Function::New<predict_linear>(env, "predictLinear"));
  exports.Set("predictLinearAsync", Napi::Function::New<predict_linear_async>(env, "predictLinearAsync", &async));
  exports.Set("setThreads", Napi::Function::New<set_threads>(env, "setThreads"));
  exports.Set("getThreads", Napi::Function::New<get_threads>(env, "getThreads"));
  exports.Set("simdTarget", Napi::Function::New<simd_target>(env, "simdTarget"));
  exports.Set("compiler", Napi::Function::New<compiler>(env, "compiler"));
  exports.Set("lastStrategy", Napi::Function::New<last_strategy>(env, "lastStrategy"));
  exports.Set("addressOf", Napi::Function::New<address_of>(env, "addressOf"));
  exports.Set("bytesToLine", Napi::Function::New<bytes_to_line>(env, "bytesToLine"));
  exports.Set("reportMemory", Napi::Function::New<report_memory>(env, "reportMemory"));
  exports.Set("preferHugePages", Napi::Function::New<prefer_huge_pages>(env, "preferHugePages"));
  exports.Set("measureSurfaces", Napi::Function::New<measure_surfaces>(env, "measureSurfaces"));
  exports.Set("measureSurfacesAsync", Napi::Function::New<measure_surfaces_async>(env, "measureSurfacesAsync", &async));
  return async;
}

}  // namespace warpdice
