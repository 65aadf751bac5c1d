// The function `resampleNearest` of binding.d.ts.
#include "resample_binding.h"

#include "napi_util.h"
#include "resample.h"

namespace warpdice {
namespace {

/// The arguments, in order.
enum Argument : size_t { kFrom, kElementBytes, kOuter, kFromSizes, kToSizes, kInner, kTo, kArguments };

std::vector<int64_t> sizes_of(Napi::Env env, const Napi::Value& value) {
  if (!value.IsArray()) throw Napi::TypeError::New(env, "Expected an array of sizes");
  const auto array = value.As<Napi::Array>();
  std::vector<int64_t> sizes;
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

Napi::Value resample_nearest(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto count = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  const Memory from = memory_of(env, info[kFrom], "from"), to = memory_of(env, info[kTo], "to");
  Resampling shape;
  shape.outer = count(kOuter);
  shape.from_sizes = sizes_of(env, info[kFromSizes]);
  shape.to_sizes = sizes_of(env, info[kToSizes]);
  shape.unit_bytes = bytes_of(env, {count(kElementBytes), count(kInner)}, 1);
  if (shape.from_sizes.empty() || shape.from_sizes.size() != shape.to_sizes.size()) {
    throw Napi::RangeError::New(env, "Expected as many sizes of from as of to, at least one");
  }
  for (size_t axis = 0; axis < shape.to_sizes.size(); axis++) {  // products of which the engine makes indices
    bytes_of(env, {shape.from_sizes[axis], shape.to_sizes[axis]}, 1);
  }
  const size_t from_bytes = bytes_of_all(env, shape.outer, shape.from_sizes, shape.unit_bytes);
  const size_t to_bytes = bytes_of_all(env, shape.outer, shape.to_sizes, shape.unit_bytes);
  if (!from.data || !to.data || from.size_bytes < from_bytes || to.size_bytes < to_bytes) {
    throw Napi::RangeError::New(env, "Expected at least " + std::to_string(from_bytes) + " and " +
                                         std::to_string(to_bytes) + " bytes but received " +
                                         std::to_string(from.size_bytes) + " and " + std::to_string(to.size_bytes));
  }
  const char *f = static_cast<const char*>(from.data), *t = static_cast<const char*>(to.data);
  if (f < t + to_bytes && t < f + from_bytes) {
    throw Napi::RangeError::New(env, "Expected memory of its own for to but received an array that overlaps from");
  }
  guarded(env, [&] { cpu::resample_nearest(shape, from.data, to.data); });
  return env.Undefined();
}

}  // namespace warpdice
