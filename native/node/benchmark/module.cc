// The benchmark's own addon: passes over memory on the engine's kind of threads. It has a pool of its own in the
// process: its threads sleep 40 microseconds after their last pass, and so do the engine's after a call.
#include <atomic>
#include <cstring>
#include <string>

#include "cpu/benchmark/passes.h"
#include "cpu/parts.h"
#include "node/napi_util.h"

namespace warpdice {
namespace cpu {
#define WARPDICE_PASSES(target) \
  namespace target {            \
  extern const Passes passes;   \
  }
#if defined(WARPDICE_X86)
WARPDICE_PASSES(baseline)
#if defined(WARPDICE_AVX2)
WARPDICE_PASSES(avx2)
#endif
#if defined(WARPDICE_AVX512)
WARPDICE_PASSES(avx512)
#endif
constexpr const Passes* kAll[] = {
    &baseline::passes,
#if defined(WARPDICE_AVX2)
    &avx2::passes,
#endif
#if defined(WARPDICE_AVX512)
    &avx512::passes,
#endif
};
#else
WARPDICE_PASSES(neon)
constexpr const Passes* kAll[] = {&neon::passes};
#endif
}  // namespace cpu

namespace {

const cpu::Passes* chosen = nullptr;

const cpu::Passes& passes(Napi::Env env) {
  if (!chosen) throw Napi::Error::New(env, "Expected use() before any pass");
  return *chosen;
}

/// use(simd, threads): the SIMD target that the engine runs, and as many threads as it may use.
Napi::Value use(const Napi::CallbackInfo& info) {
  const std::string name = info[0].ToString();
  const cpu::Passes* found = nullptr;
  for (const cpu::Passes* one : cpu::kAll) {
    if (name == one->name) found = one;
  }
  if (!found) throw Napi::RangeError::New(info.Env(), "Expected a SIMD target but received " + name);
  chosen = found;
  cpu::Pool::instance().set_threads(info[1].ToNumber().Int32Value());
  return info.Env().Undefined();
}

struct Arrays {
  char* to;
  const char* from;
  size_t size_bytes;
};

Arrays same_size(const Napi::CallbackInfo& info) {
  const Memory to = memory_of(info.Env(), info[0], "to"), from = memory_of(info.Env(), info[1], "from");
  if (to.size_bytes != from.size_bytes) {
    throw Napi::RangeError::New(info.Env(), "Expected arrays of the same size");
  }
  return {static_cast<char*>(to.data), static_cast<const char*>(from.data), to.size_bytes};
}

Napi::Value copy(const Napi::CallbackInfo& info) {
  const cpu::Passes& own = passes(info.Env());
  const Arrays arrays = same_size(info);
  const bool streaming = info[2].ToBoolean();
  cpu::for_parts(arrays.size_bytes, [&](size_t at, size_t bytes) {
    if (streaming) own.stream_copy(arrays.to + at, arrays.from + at, bytes);
    else std::memcpy(arrays.to + at, arrays.from + at, bytes);
  });
  return info.Env().Undefined();
}

Napi::Value fill(const Napi::CallbackInfo& info) {
  const cpu::Passes& own = passes(info.Env());
  const Memory to = memory_of(info.Env(), info[0], "to");
  const uint8_t byte = static_cast<uint8_t>(info[1].ToNumber().Uint32Value());
  const bool streaming = info[2].ToBoolean();
  cpu::for_parts(to.size_bytes, [&](size_t at, size_t bytes) {
    char* part = static_cast<char*>(to.data) + at;
    if (streaming) own.stream_fill(part, byte, bytes);
    else std::memset(part, byte, bytes);
  });
  return info.Env().Undefined();
}

Napi::Value exponentials(const Napi::CallbackInfo& info) {
  const cpu::Passes& own = passes(info.Env());
  const Arrays arrays = same_size(info);
  const bool streaming = info[2].ToBoolean();
  cpu::for_parts(arrays.size_bytes, [&](size_t at, size_t bytes) {
    own.exponentials(reinterpret_cast<float*>(arrays.to + at), reinterpret_cast<const float*>(arrays.from + at),
                     bytes / sizeof(float), streaming);
  });
  return info.Env().Undefined();
}

Napi::Value read(const Napi::CallbackInfo& info) {
  const cpu::Passes& own = passes(info.Env());
  const Memory from = memory_of(info.Env(), info[0], "from");
  std::atomic<uint32_t> sum{0};
  cpu::for_parts(from.size_bytes, [&](size_t at, size_t bytes) {
    sum += own.read_sum(static_cast<const char*>(from.data) + at, bytes);
  });
  return Napi::Number::New(info.Env(), sum);
}

/// plainSums(p, target, classes, checks): one thread. target: labels in bytes, or as many floats as p has.
Napi::Value plain_sums(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const cpu::Passes& own = passes(env);
  const Memory p = memory_of(env, info[0], "p"), target = memory_of(env, info[1], "target");
  const int64_t classes = info[2].ToNumber().Int64Value();
  const auto values = static_cast<int64_t>(p.size_bytes / sizeof(float));
  const int64_t voxels = classes > 0 ? values / classes : 0;
  const bool dense = target.size_bytes == p.size_bytes;
  const bool fits = voxels > 0 && voxels * classes == values && voxels % 128 == 0 && classes <= 8;
  if (!fits || (!dense && target.size_bytes != static_cast<size_t>(voxels))) {
    throw Napi::RangeError::New(env, "Expected up to 8 classes of as many voxels, a multiple of 128");
  }
  const double sum =
      own.plain_sums(static_cast<const float*>(p.data), static_cast<const uint8_t*>(target.data),
                     dense ? static_cast<const float*>(target.data) : nullptr, classes, voxels, info[3].ToBoolean());
  return Napi::Number::New(env, sum);
}

/// multiplyAdds(rounds): on every thread. Returns the operations of all.
Napi::Value multiply_adds(const Napi::CallbackInfo& info) {
  const cpu::Passes& own = passes(info.Env());
  const int64_t rounds = info[0].ToNumber().Int64Value();
  const int threads = cpu::Pool::instance().threads();
  std::atomic<int64_t> operations{0};
  cpu::Pool::instance().parallel_for(threads, 1, [&](int64_t i) {
    float numbers[16] = {static_cast<float>(i), 0.999f, 1e-3f};
    operations += static_cast<int64_t>(own.multiply_adds(rounds, numbers));
  });
  return Napi::Number::New(info.Env(), static_cast<double>(operations));
}

Napi::Object init_benchmark(Napi::Env env, Napi::Object exports) {
  exports.Set("use", Napi::Function::New<use>(env, "use"));
  exports.Set("copy", Napi::Function::New<copy>(env, "copy"));
  exports.Set("fill", Napi::Function::New<fill>(env, "fill"));
  exports.Set("exponentials", Napi::Function::New<exponentials>(env, "exponentials"));
  exports.Set("multiplyAdds", Napi::Function::New<multiply_adds>(env, "multiplyAdds"));
  exports.Set("read", Napi::Function::New<read>(env, "read"));
  exports.Set("plainSums", Napi::Function::New<plain_sums>(env, "plainSums"));
  return exports;
}

}  // namespace
}  // namespace warpdice

static Napi::Object init(Napi::Env env, Napi::Object exports) { return warpdice::init_benchmark(env, exports); }
NODE_API_MODULE(warpdice_benchmark, init)
