// The function `count` of binding.d.ts. lib/ checks what arguments mean; here only what memory safety needs is checked.
#include "metrics_binding.h"

#include "counts.h"
#include "napi_util.h"

namespace warpdice {
namespace {

/// The arguments, in order.
enum Argument : size_t {
  kDecision,
  kThreshold,
  kSamples,
  kClasses,
  kVoxels,
  kChannelsLast,
  kPredictions,
  kPredictionsType,
  kTarget,
  kTargetType,
  kTargetIsLabels,
  kIgnoreIndex,
  kWeight,
  kWeightType,
  kCounts,
  kArguments
};

/// The memory of an array of at least a * b * c elements, which are sizes from 1.
void* take(Napi::Env env, const Napi::Value& array, const char* name, size_t element, int64_t a, int64_t b, int64_t c) {
  const Memory memory = memory_of(env, array, name);
  const size_t bytes = bytes_of(env, {a, b, c}, element);
  if (!memory.data || memory.size_bytes < bytes) {
    throw Napi::RangeError::New(env, std::string("Expected at least ") + std::to_string(bytes) + " bytes for " + name);
  }
  return memory.data;
}

Napi::Error fault_error(Napi::Env env, const LabelFault& fault, bool predictions) {
  Napi::Error error = to_javascript(env, "ERR_LABEL_RANGE", "Labels are out of range");
  Napi::Object object = error.Value();
  object.Set("predictions", predictions);
  object.Set("count", Napi::Number::New(env, static_cast<double>(fault.count)));
  object.Set("index", Napi::Number::New(env, static_cast<double>(fault.first_index)));
  object.Set("value", Napi::Number::New(env, static_cast<double>(fault.first_value)));
  return error;
}

}  // namespace

Napi::Value count_classes(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto size = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  CountInputs inputs;
  Inputs& in = inputs.in;
  const uint32_t decision = info[kDecision].As<Napi::Number>().Uint32Value();
  if (decision > static_cast<uint32_t>(Decision::labels)) throw Napi::TypeError::New(env, "Expected a decision code");
  inputs.decision = static_cast<Decision>(decision);
  inputs.threshold = info[kThreshold].As<Napi::Number>().DoubleValue();
  const int64_t N = in.samples = size(kSamples), C = in.classes = size(kClasses), S = in.voxels = size(kVoxels);
  in.channels_last = info[kChannelsLast].ToBoolean();
  in.labels = info[kTargetIsLabels].ToBoolean();
  in.has_ignore = info[kIgnoreIndex].IsNumber();
  if (in.has_ignore) in.ignore_index = size(kIgnoreIndex);

  const bool maps = inputs.decision == Decision::labels;
  in.predictions.dtype = to_dtype(env, info[kPredictionsType]);
  in.target.dtype = to_dtype(env, info[kTargetType]);
  in.weight.dtype = to_dtype(env, info[kWeightType]);
  const DType p = in.predictions.dtype, t = in.target.dtype, w = in.weight.dtype;
  const bool fits = (maps ? is_label(p) && in.labels : is_float(p)) &&
                    (in.labels ? is_label(t) : is_float(t) || t == DType::uint8) && (is_float(w) || w == DType::uint8);
  constexpr int64_t kMostClasses = int64_t{1} << 20;  // the cell of a pair of classes fits in 63 bits
  if (!fits || C > kMostClasses) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
  in.predictions.data = take(env, info[kPredictions], "predictions", size_of(p), N, maps ? 1 : C, S);
  in.target.data = take(env, info[kTarget], "target", size_of(t), N, in.labels ? 1 : C, S);
  if (!info[kWeight].IsUndefined()) in.weight.data = take(env, info[kWeight], "weight", size_of(w), N, 1, S);
  double* counts = static_cast<double*>(take(env, info[kCounts], "counts", sizeof(double), N, inputs.cells(), 1));

  const CountFaults faults = guarded(env, [&] { return cpu::count(inputs, counts); });
  if (faults.predictions.count > 0) throw fault_error(env, faults.predictions, true);
  if (faults.target.count > 0) throw fault_error(env, faults.target, false);
  return env.Undefined();
}

}  // namespace warpdice
