// The function `predictLinear` of binding.d.ts.
#include "node/predict_function.h"

namespace warpdice {
namespace {

std::vector<int64_t> chosen_classes(Napi::Env env, const Napi::Value& value, int64_t classes) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    throw Napi::TypeError::New(env, "Expected an Int32Array for chosen");
  }
  const auto array = value.As<Napi::Int32Array>();
  std::vector<int64_t> chosen(array.Data(), array.Data() + array.ElementLength());
  if (chosen.empty()) throw Napi::RangeError::New(env, "Expected one or more classes for chosen");
  for (const int64_t c : chosen) {
    if (c < 0 || c >= classes) throw Napi::RangeError::New(env, "Expected classes for chosen");
  }
  return chosen;
}

}  // namespace

BoundPrediction::BoundPrediction(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() < kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto size = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  Inputs& in = prediction.call.in;
  Head& head = prediction.call.head;
  const int64_t N = in.samples = size(kSamples), C = in.classes = size(kClasses), S = in.voxels = size(kVoxels);
  const int64_t K = head.channels = size(kChannels);
  in.channels_last = info[kChannelsLast].ToBoolean();
  in.activation = to_enum(env, info[kActivation], kActivationCodes, "activation");
  const DType x = in.predictions.dtype = to_dtype(env, info[kFeaturesType]), w = to_dtype(env, info[kHeadType]);
  head.weight.dtype = head.bias.dtype = w;
  prediction.dtype = to_dtype(env, info[kOutType]);
  if (C < 1 || C > kMaxHeadSize || K < 1 || K > kMaxHeadSize) {
    throw Napi::RangeError::New(env, "Expected from 1 to 32768 channels and classes for a head");
  }
  const bool wants_classes = info[kChosen].IsUndefined();
  if (!wants_classes) {
    prediction.classes = chosen_classes(env, info[kChosen], C);
    prediction.dtype = x == DType::float64 ? DType::float64 : DType::float32;
  }
  const bool labels = prediction.dtype == DType::uint16 || (prediction.dtype == DType::uint8 && C <= 256);
  if (!is_float(x) || (w != x && w != DType::float32) || (wants_classes && !labels)) {
    throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
  }
  if (!wants_classes && in.activation == Activation::none) {
    throw Napi::RangeError::New(env, "Expected an activation for probabilities");
  }
  const int64_t some = wants_classes ? 1 : static_cast<int64_t>(prediction.classes.size());
  const auto take = [&](Argument argument, const char* name, DType dtype, int64_t a, int64_t b, int64_t c) {
    return bind_array(env, info[argument], name, dtype, bytes_of(env, {a, b, c}, size_of(dtype)), memory_of);
  };
  const Array features = take(kFeatures, "features", x, N, K, S), weight = take(kHeadWeight, "weight", w, C, K, 1);
  const Array bias = info[kHeadBias].IsUndefined() ? Array{} : take(kHeadBias, "bias", w, C, 1, 1);
  const Array out = take(kOut, "out", prediction.dtype, N, some, S);
  for (const auto& [name, array] : {std::pair("features", &features), {"weight", &weight}, {"bias", &bias}}) {
    if (!overlap(out, *array)) continue;
    throw Napi::RangeError::New(
        env, std::string("Expected memory of its own for out but received an array that overlaps ") + name);
  }
  in.predictions.data = features.memory.data;
  head.weight.data = weight.memory.data;
  head.bias.data = bias.memory.data;
  prediction.out = out.memory.data;
}

Napi::Value predict_linear(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    cpu::head::predict(BoundPrediction(info).prediction);
    return info.Env().Undefined();
  });
}

}  // namespace warpdice
