// The function `resampleNearest` of binding.d.ts.
#include "node/resample_function.h"

#include "cpu/resample.h"

namespace warpdice {
namespace {

constexpr uint32_t kMaxAxes = 64;

std::vector<int64_t> sizes_of(Napi::Env env, const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(env, "Expected an array of sizes");
  const auto array = value.As<Napi::Array>();
  if (array.Length() > kMaxAxes) throw Napi::RangeError::New(env, "Expected at most 64 sizes");
  std::vector<int64_t> sizes;
  sizes.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) sizes.push_back(array.Get(i).ToNumber().Int64Value());
  return sizes;
}

/// Bytes of [outer, ...sizes, unit].
size_t bytes_of_all(Napi::Env env, int64_t outer, const std::vector<int64_t>& sizes, size_t unit_bytes) {
  size_t bytes = bytes_of(env, {outer}, unit_bytes);
  for (const int64_t size : sizes) bytes = bytes_of(env, {size}, bytes);
  return bytes;
}

}  // namespace

BoundResample::BoundResample(const Napi::CallbackInfo& info, MemoryOf memory) {
  Napi::Env env = info.Env();
  if (info.Length() < kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto count = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  shape.outer = count(kOuter);
  shape.from_sizes = sizes_of(env, info[kFromSizes]);
  shape.to_sizes = sizes_of(env, info[kToSizes]);
  shape.element_bytes = bytes_of(env, {count(kElementBytes)}, 1);
  shape.inner = count(kInner);
  if (shape.from_sizes.empty() || shape.from_sizes.size() != shape.to_sizes.size()) {
    throw Napi::RangeError::New(env, "Expected as many sizes of from as of to, at least one");
  }
  for (size_t axis = 0; axis < shape.to_sizes.size(); axis++) {  // nearest_index() multiplies them, times 2
    bytes_of(env, {shape.from_sizes[axis], shape.to_sizes[axis]}, 2);
  }
  const size_t unit_bytes = bytes_of(env, {shape.inner}, shape.element_bytes);
  // On a device a thread copies an element of one of these sizes; on the host bytes are copied.
  const size_t e = shape.element_bytes, alignment = e == 2 || e == 4 || e == 8 ? e : 1;
  const auto bind = [&](Argument argument, const char* name, const std::vector<int64_t>& sizes) {
    return bind_bytes(env, info[argument], name, alignment, bytes_of_all(env, shape.outer, sizes, unit_bytes), memory);
  };
  from = bind(kFrom, "from", shape.from_sizes);
  to = bind(kTo, "to", shape.to_sizes);
  if (overlap(from, to)) {
    throw Napi::RangeError::New(env, "Expected memory of its own for to but received an array that overlaps from");
  }
}

Napi::Value resample_nearest(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const BoundResample bound(info);
    cpu::resample_nearest(bound.shape, bound.from.memory.data, bound.to.memory.data);
    return info.Env().Undefined();
  });
}

}  // namespace warpdice
