// The functions `count` and `countAsync` of binding.d.ts. lib/ checks what arguments mean; here only what memory safety
// needs is checked.
#include "metrics_binding.h"

#include <algorithm>
#include <vector>

#include "async_work.h"
#include "counts.h"

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

/// An array of the call: its memory, and how much of that the call uses.
struct Array {
  Memory memory;  // data is null when absent
  size_t used_bytes = 0;
};

/// An array of at least a * b * c elements, which are sizes from 1.
Array take(Napi::Env env, const Napi::Value& value, const char* name, size_t element, int64_t a, int64_t b, int64_t c) {
  const Memory memory = memory_of(env, value, name);
  const size_t bytes = bytes_of(env, {a, b, c}, element);
  if (!memory.data || memory.size_bytes < bytes) {
    throw Napi::RangeError::New(env, std::string("Expected at least ") + std::to_string(bytes) + " bytes for " + name);
  }
  return {memory, bytes};
}

/// A call with the arrays that it is made of.
struct BoundCount {
  CountInputs inputs;
  Array predictions, target, weight, counts;

  /// Points the inputs at the arrays' memory.
  void connect() {
    inputs.in.predictions.data = predictions.memory.data;
    inputs.in.target.data = target.memory.data;
    inputs.in.weight.data = weight.memory.data;
  }
};

BoundCount bind(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (info.Length() != kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  const auto size = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  BoundCount bound;
  CountInputs& inputs = bound.inputs;
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
  bound.predictions = take(env, info[kPredictions], "predictions", size_of(p), N, maps ? 1 : C, S);
  bound.target = take(env, info[kTarget], "target", size_of(t), N, in.labels ? 1 : C, S);
  if (!info[kWeight].IsUndefined()) bound.weight = take(env, info[kWeight], "weight", size_of(w), N, 1, S);
  bound.counts = take(env, info[kCounts], "counts", sizeof(double), N, inputs.cells(), 1);
  bound.connect();
  return bound;
}

void throw_faults(Napi::Env env, const CountFaults& faults) {
  const bool predictions = faults.predictions.count > 0;
  const LabelFault& fault = predictions ? faults.predictions : faults.target;
  if (fault.count == 0) return;
  Napi::Error error = label_error(env, fault);
  error.Value().Set("predictions", predictions);
  throw error;
}

/// Counts on copies of what JavaScript could take away meanwhile. Shared memory is used where it is.
class CountWork : public AsyncWork {
 public:
  explicit CountWork(const Napi::CallbackInfo& info) : bound_(bind(info)) {
    Array* inputs[] = {&bound_.predictions, &bound_.target, &bound_.weight};
    for (size_t i = 0; i < 3; i++) {
      Memory& memory = inputs[i]->memory;
      if (!memory.data || memory.shared) continue;
      copies_[i].reset(new char[inputs[i]->used_bytes]);
      cpu::copy(copies_[i].get(), memory.data, inputs[i]->used_bytes, false);
      memory.data = copies_[i].get();
    }
    bound_.connect();
    counts_.resize(bound_.counts.used_bytes / sizeof(double));
    Napi::Array kept = Napi::Array::New(info.Env());
    for (const Argument argument : {kCounts, kPredictions, kTarget, kWeight}) kept.Set(kept.Length(), info[argument]);
    arrays_ = Napi::Persistent(kept.As<Napi::Object>());
  }

 private:
  void execute() override { faults_ = cpu::count(bound_.inputs, counts_.data()); }

  void settle(Napi::Env env) override {
    throw_faults(env, faults_);
    const Memory to = memory_of(env, arrays_.Value().Get(uint32_t{0}), "counts");
    if (to.size_bytes < bound_.counts.used_bytes) throw Napi::TypeError::New(env, "Expected counts to keep its memory");
    std::copy(counts_.begin(), counts_.end(), static_cast<double*>(to.data));
  }

  BoundCount bound_;
  std::unique_ptr<char[]> copies_[3];
  std::vector<double> counts_;
  Napi::ObjectReference arrays_;  // keeps shared memory alive
  CountFaults faults_;
};

}  // namespace

Napi::Value count_classes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const BoundCount bound = bind(info);
    throw_faults(info.Env(), cpu::count(bound.inputs, static_cast<double*>(bound.counts.memory.data)));
    return info.Env().Undefined();
  });
}

Napi::Value count_classes_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return Napi::Value(info.Env(), AsyncWork::start(info.Env(), std::make_unique<CountWork>(info)));
  });
}

}  // namespace warpdice
