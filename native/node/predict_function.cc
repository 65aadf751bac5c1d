// The functions `predictLinear` and `predictLinearAsync` of binding.d.ts.
#include "node/predict_function.h"

#include "cpu/engine.h"
#include "cpu/head/predict.h"
#include "node/async_array.h"
#include "node/async_queue.h"

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

/// Keeps the arrays alive: shared memory is used where it is.
class PredictWork : public AsyncWork {
 public:
  PredictWork(const Napi::CallbackInfo& info, const BoundPrediction& bound, AsyncQueue& queue)
      : bound_(bound), held_(queue, copied_bytes(bound)), kept_(Napi::Persistent(Napi::Object::New(info.Env()))) {
    Array* const inputs[] = {&bound_.features, &bound_.weight, &bound_.bias};
    for (size_t i = 0; i < 3; i++) inputs_[i].take(*inputs[i], true);
    out_.take(bound_.out, false);
    bound_.connect();
    Napi::Object kept = kept_.Value();
    for (uint32_t i = 0; i < info.Length(); i++) {
      if (info[i].IsTypedArray()) kept.Set(i, info[i]);
    }
  }

 private:
  static size_t copied_bytes(const BoundPrediction& bound) {
    size_t bytes = 0;
    for (const Array* array : {&bound.features, &bound.weight, &bound.bias, &bound.out}) {
      bytes += OwnCopy::bytes_of(*array);
    }
    return bytes;
  }

  void compute() override {
    cpu::head::predict(bound_.prediction);
    for (OwnCopy& copy : inputs_) held_.let_go(copy.free());
  }

  void deliver(Napi::Env env) override {
    if (!out_) return;
    const Napi::Value array = kept_.Value().Get(static_cast<uint32_t>(BoundPrediction::kOut));
    const size_t bytes = bound_.out.used_bytes;
    cpu::copy(memory_after(env, array, "out", bytes).data, out_.data(), bytes);
  }

  BoundPrediction bound_;
  HeldBytes held_;
  OwnCopy inputs_[3], out_;
  Napi::ObjectReference kept_;
};

}  // namespace

BoundPrediction::BoundPrediction(const Napi::CallbackInfo& info, MemoryOf memory) {
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
    return bind_array(env, info[argument], name, dtype, bytes_of(env, {a, b, c}, size_of(dtype)), memory);
  };
  features = take(kFeatures, "features", x, N, K, S);
  weight = take(kHeadWeight, "weight", w, C, K, 1);
  if (!info[kHeadBias].IsUndefined()) bias = take(kHeadBias, "bias", w, C, 1, 1);
  out = take(kOut, "out", prediction.dtype, N, some, S);
  for (const auto& [name, array] : {std::pair("features", &features), {"weight", &weight}, {"bias", &bias}}) {
    if (!overlap(out, *array)) continue;
    throw Napi::RangeError::New(
        env, std::string("Expected memory of its own for out but received an array that overlaps ") + name);
  }
  connect();
}

void BoundPrediction::connect() {
  prediction.call.in.predictions.data = features.memory.data;
  prediction.call.head.weight.data = weight.memory.data;
  prediction.call.head.bias.data = bias.memory.data;
  prediction.out = out.memory.data;
}

Napi::Value predict_linear(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    cpu::head::predict(BoundPrediction(info).prediction);
    return info.Env().Undefined();
  });
}

Napi::Value predict_linear_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto& queue = *static_cast<AsyncQueue*>(info.Data());
    const BoundPrediction bound(info);
    const auto make = [&] { return std::make_unique<PredictWork>(info, bound, queue); };
    return Napi::Value(info.Env(), queue.start(make));
  });
}

}  // namespace warpdice
