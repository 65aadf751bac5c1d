#include "node/count_arguments.h"

namespace warpdice {

BoundCount::BoundCount(const Napi::CallbackInfo& info, MemoryOf memory) {
  Napi::Env env = info.Env();
  if (info.Length() < kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto size = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  Inputs& in = inputs.in;
  inputs.decision = to_enum(env, info[kDecision], kDecisionCodes, "decision");
  inputs.threshold = info[kThreshold].As<Napi::Number>().DoubleValue();
  const int64_t N = in.samples = size(kSamples), C = in.classes = size(kClasses), S = in.voxels = size(kVoxels);
  in.channels_last = info[kChannelsLast].ToBoolean();
  in.labels = info[kTargetIsLabels].ToBoolean();
  inputs.by_sample = info[kBySample].ToBoolean();
  may_be_one_hot = info[kMayBeOneHot].ToBoolean();
  ignored_ = ignored_argument(info[kIgnoreIndex]);

  const bool maps = inputs.decision == Decision::labels;
  in.predictions.dtype = to_dtype(env, info[kPredictionsType]);
  in.target.dtype = to_dtype(env, info[kTargetType]);
  weight_of_classes_ = info[kWeightOfClasses].ToBoolean();
  weight_operand().dtype = to_dtype(env, info[kWeightType]);
  const DType p = in.predictions.dtype;
  head.channels = size(kChannels);
  if (head.channels) check_head(env, maps, to_dtype(env, info[kHeadType]));
  const bool fits = (!maps || (is_label(p) && in.labels)) && operands_fit(in);
  if (weight_of_classes_ && inputs.decision != Decision::threshold) {
    throw Napi::TypeError::New(env, "Expected decision threshold for weights of the classes");
  }
  if (!fits || C < 1 || C > kMaxClasses) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");

  // Of at least a * b * c elements, which are sizes from 1.
  const auto take = [&](Argument argument, const char* name, DType dtype, int64_t a, int64_t b, int64_t c) {
    return bind_array(env, info[argument], name, dtype, bytes_of(env, {a, b, c}, size_of(dtype)), memory);
  };
  predictions = take(kPredictions, "predictions", p, N, maps ? 1 : head.channels ? head.channels : C, S);
  if (head.channels) {
    head_weight = take(kHeadWeight, "predictions.weight", head.weight.dtype, C, head.channels, 1);
    if (!info[kHeadBias].IsUndefined()) head_bias = take(kHeadBias, "predictions.bias", head.bias.dtype, C, 1, 1);
  }
  target = take(kTarget, "target", in.target.dtype, N, in.labels ? 1 : C, S);
  if (!info[kWeight].IsUndefined()) {
    weight = take(kWeight, "weight", weight_operand().dtype, N, weight_of_classes_ ? C : 1, S);
  }
  names = names_argument(info[kNames], N);
  connect();
}

void BoundCount::connect() {
  ignored_.connect(inputs.in);
  inputs.in.predictions.data = predictions.memory.data;
  inputs.in.target.data = target.memory.data;
  weight_operand().data = weight.memory.data;
  head.weight.data = head_weight.memory.data;
  head.bias.data = head_bias.memory.data;
}

void BoundCount::check_head(Napi::Env env, bool maps, DType dtype) {
  const DType x = inputs.in.predictions.dtype;
  head.weight.dtype = head.bias.dtype = dtype;
  const bool fits = !maps && is_float(x) && (dtype == x || dtype == DType::float32);
  if (!fits) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
  if (head.channels < 1 || head.channels > kMaxHeadSize || inputs.in.classes > kMaxHeadSize) {
    throw Napi::RangeError::New(env, "Expected from 1 to 32768 channels and classes for a head");
  }
}

}  // namespace warpdice
