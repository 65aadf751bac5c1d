// The class `Loss` of binding.d.ts. lib/ checks what arguments mean; here only what memory safety needs is
// checked: types, byte lengths, overlaps.
#include "loss_binding.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "call.h"
#include "napi_util.h"

namespace warpdice {
namespace {

/// The arguments of run() and runAsync(), in order.
enum Argument : size_t {
  kSteps,
  kSamples,
  kClasses,
  kVoxels,
  kPredictions,
  kPredictionsType,
  kTarget,
  kTargetType,
  kTargetIsLabels,
  kWeight,
  kWeightType,
  kStatisticsArray,
  kUpstream,
  kScale,
  kValue,
  kPerClass,
  kGrad,
  kGradType,
  kAccumulate,
  kParts,
  kArguments
};

/// The typed arrays among them.
enum ArrayName : size_t {
  aPredictions,
  aTarget,
  aWeight,
  aStatistics,
  aUpstream,
  aValue,
  aPerClass,
  aGrad,
  aParts,
  aCount
};
constexpr std::array<Argument, aCount> kArrayArguments = {
    kPredictions, kTarget, kWeight, kStatisticsArray, kUpstream, kValue, kPerClass, kGrad, kParts};
constexpr std::array<const char*, aCount> kArrayNames = {
    "predictions", "target", "weight", "statistics", "upstream", "out.value", "out.perClass", "out.grad", "out.parts"};

struct Array {
  Memory memory;          // data is null when absent
  size_t used_bytes = 0;  // what the call reads or writes
  bool output = false;
};

/// A call with the arrays that it is made of.
struct BoundCall {
  Call call;
  std::array<Array, aCount> arrays;

  /// Points the call at the arrays' memory.
  void connect() {
    call.in.predictions.data = arrays[aPredictions].memory.data;
    call.in.target.data = arrays[aTarget].memory.data;
    call.in.weight.data = arrays[aWeight].memory.data;
    call.statistics = static_cast<double*>(arrays[aStatistics].memory.data);
    call.upstream = static_cast<const double*>(arrays[aUpstream].memory.data);
    call.value = static_cast<double*>(arrays[aValue].memory.data);
    call.per_class = static_cast<double*>(arrays[aPerClass].memory.data);
    call.grad.data = arrays[aGrad].memory.data;
    call.parts = static_cast<double*>(arrays[aParts].memory.data);
  }
};

bool overlap(const Array& a, const Array& b) {
  if (a.used_bytes == 0 || b.used_bytes == 0) return false;
  const char *a0 = static_cast<const char*>(a.memory.data), *b0 = static_cast<const char*>(b.memory.data);
  return a0 < b0 + b.used_bytes && b0 < a0 + a.used_bytes;
}

int64_t to_count(const Napi::Value& value) { return value.As<Napi::Number>().Int64Value(); }

DType to_dtype(Napi::Env env, const Napi::Value& value) {
  const uint32_t code = value.As<Napi::Number>().Uint32Value();
  if (code > static_cast<uint32_t>(DType::int64)) throw Napi::TypeError::New(env, "Expected a dtype code");
  return static_cast<DType>(code);
}

bool is_float(DType dtype) { return dtype <= DType::bfloat16; }
bool is_label(DType dtype) { return dtype >= DType::uint8; }

/// count * bytes, or an error that it does not fit.
size_t bytes_of(Napi::Env env, std::initializer_list<int64_t> factors, size_t element) {
  int64_t total = static_cast<int64_t>(element);
  for (const int64_t factor : factors) {
    if (factor < 1 || __builtin_mul_overflow(total, factor, &total)) {
      throw Napi::RangeError::New(env, "Expected sizes from 1 whose product fits in 63 bits");
    }
  }
  return static_cast<size_t>(total);
}

void check_overlaps(Napi::Env env, const BoundCall& bound) {
  for (size_t i = 0; i < aCount; i++) {
    if (!bound.arrays[i].output) continue;
    for (size_t j = 0; j < aCount; j++) {
      if (i == j || !overlap(bound.arrays[i], bound.arrays[j])) continue;
      // The gradient may replace the predictions, element by element.
      const bool in_place = i == aGrad && j == aPredictions &&
                            bound.call.grad.dtype == bound.call.in.predictions.dtype &&
                            bound.arrays[i].memory.data == bound.arrays[j].memory.data && !bound.call.grad.accumulate;
      if (in_place) continue;
      throw Napi::RangeError::New(env, std::string("Expected memory of its own for ") + kArrayNames[i] +
                                           " but received an array that overlaps " + kArrayNames[j]);
    }
  }
}

/// Thrown, or rejected with, for a target with invalid values; lib/ words the message.
Napi::Error label_error(Napi::Env env, const LabelFault& fault) {
  Napi::Error error = to_javascript(env, "ERR_LABEL_RANGE", "The target has invalid values");
  Napi::Object object = error.Value();
  object.Set("count", Napi::Number::New(env, static_cast<double>(fault.count)));
  object.Set("index", Napi::Number::New(env, static_cast<double>(fault.first_index)));
  object.Set("value", Napi::Number::New(env, static_cast<double>(fault.first_value)));
  return error;
}

/// A call that runs on a pool thread of Node's. Memory that JavaScript could detach meanwhile is copied: inputs
/// before, outputs after. Shared memory is used where it is, and referenced until the call is done.
class AsyncCall {
 public:
  static napi_value start(Napi::Env env, const BoundCall& bound, std::vector<double> weights,
                          const Napi::CallbackInfo& info) {
    auto self = std::make_unique<AsyncCall>();
    self->bound_ = bound;
    self->class_weights_ = std::move(weights);
    if (bound.call.options.class_weights) self->bound_.call.options.class_weights = self->class_weights_.data();
    self->take_copies();
    Napi::Array kept = Napi::Array::New(env, aCount);
    for (size_t i = 0; i < aCount; i++) {
      if (bound.arrays[i].memory.data) kept.Set(static_cast<uint32_t>(i), info[kArrayArguments[i]]);
    }
    self->arrays_ = Napi::Persistent(kept.As<Napi::Object>());
    napi_value promise;
    if (napi_create_promise(env, &self->deferred_, &promise) != napi_ok) throw Napi::Error::New(env);
    const Napi::String name = Napi::String::New(env, "warpdice");
    if (napi_create_async_work(env, nullptr, name, execute, complete, self.get(), &self->work_) != napi_ok) {
      throw Napi::Error::New(env);
    }
    if (napi_queue_async_work(env, self->work_) != napi_ok) {
      napi_delete_async_work(env, self->work_);
      throw Napi::Error::New(env);
    }
    self.release();  // owned by the queued work from here on
    return promise;
  }

 private:
  void take_copies() {
    for (size_t i = 0; i < aCount; i++) {
      Array& array = bound_.arrays[i];
      if (!array.memory.data || array.memory.shared) continue;
      copies_[i].reset(static_cast<char*>(std::malloc(array.used_bytes)));
      if (!copies_[i]) throw std::bad_alloc();
      const bool read = !array.output || (i == aGrad && bound_.call.grad.accumulate);
      if (read) cpu::copy(copies_[i].get(), array.memory.data, array.used_bytes, false);
      array.memory.data = copies_[i].get();
    }
    bound_.connect();
  }

  static void execute(napi_env, void* data) {
    auto* self = static_cast<AsyncCall*>(data);
    try {
      self->faults_ = run(self->bound_.call);
    } catch (const Error& error) {
      self->error_code_ = error.code();
      self->error_message_ = error.what();
    } catch (const std::bad_alloc&) {
      self->error_code_ = "ERR_OUT_OF_MEMORY";
      self->error_message_ = "Out of memory";
    } catch (const std::exception& error) {
      self->error_code_ = "ERR_ADDON";
      self->error_message_ = error.what();
    }
  }

  /// Raw Node-API whose status is ignored: when the environment is closing, there is nobody left to tell.
  static void complete(napi_env raw, napi_status status, void* data) {
    std::unique_ptr<AsyncCall> self(static_cast<AsyncCall*>(data));
    Napi::Env env(raw);
    Napi::HandleScope scope(env);
    try {
      if (status != napi_ok) {
        self->reject(to_javascript(env, "ERR_ADDON", "The call was cancelled"));
      } else if (self->error_code_) {
        self->reject(to_javascript(env, self->error_code_, self->error_message_));
      } else if (self->faults_.count > 0) {
        self->reject(label_error(env, self->faults_));
      } else {
        self->hand_over(env);
        napi_value undefined;
        napi_get_undefined(env, &undefined);
        napi_resolve_deferred(env, self->deferred_, undefined);
      }
    } catch (const Napi::Error& error) {
      self->reject(error);
    } catch (...) {
      // Memory for the error itself ran out. Nothing may leave this C callback; the promise stays pending.
    }
    napi_delete_async_work(env, self->work_);
  }

  void reject(const Napi::Error& error) { napi_reject_deferred(error.Env(), deferred_, error.Value()); }

  /// Copies the results to where the caller wants them, if that is still there.
  void hand_over(Napi::Env env) {
    std::array<Memory, aCount> to;
    for (size_t i = 0; i < aCount; i++) {
      const Array& array = bound_.arrays[i];
      if (!array.output || !copies_[i]) continue;
      to[i] = memory_of(env, arrays_.Value().Get(static_cast<uint32_t>(i)), kArrayNames[i]);
      if (to[i].size_bytes < array.used_bytes) {
        throw Napi::TypeError::New(env, std::string("Expected ") + kArrayNames[i] +
                                            " to keep its memory during the call but it was detached or shrunk");
      }
    }
    for (size_t i = 0; i < aCount; i++) {
      if (to[i].data) cpu::copy(to[i].data, copies_[i].get(), bound_.arrays[i].used_bytes, false);
    }
  }

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  BoundCall bound_;
  std::vector<double> class_weights_;
  std::array<std::unique_ptr<char, Free>, aCount> copies_;
  Napi::ObjectReference arrays_;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
  LabelFault faults_;
  const char* error_code_ = nullptr;
  std::string error_message_;
};

class NativeLoss : public Napi::ObjectWrap<NativeLoss> {
 public:
  explicit NativeLoss(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeLoss>(info) {
    Napi::Env env = info.Env();
    if (info.Length() != 1 || !info[0].IsObject()) throw Napi::TypeError::New(env, "Expected an object of options");
    const auto from = info[0].As<Napi::Object>();
    const auto number = [&](const char* name) { return from.Get(name).ToNumber().DoubleValue(); };
    const auto flag = [&](const char* name) { return from.Get(name).ToBoolean().Value(); };
    const auto number_or = [&](const char* name, double missing) {
      return from.Get(name).IsUndefined() ? missing : number(name);
    };
    const auto code = [&](const char* name, int last) {
      const double value = number_or(name, 0);
      if (!(value >= 0 && value <= last)) throw Napi::RangeError::New(env, std::string("Expected a code for ") + name);
      return static_cast<uint8_t>(value);
    };
    options_.kind = static_cast<LossKind>(code("kind", static_cast<int>(LossKind::generalized)));
    options_.reduction = static_cast<Reduction>(code("reduction", static_cast<int>(Reduction::sum)));
    options_.transform = static_cast<Transform>(code("transform", static_cast<int>(Transform::log_cosh)));
    options_.weighting = static_cast<Weighting>(code("weighting", static_cast<int>(Weighting::uniform)));
    options_.absent = static_cast<Absent>(code("absent", static_cast<int>(Absent::worst)));
    options_.alpha = number_or("alpha", options_.alpha);
    options_.beta = number_or("beta", options_.beta);
    options_.gamma = number_or("gamma", options_.gamma);
    options_.overlap_factor = number_or("overlapFactor", options_.overlap_factor);
    options_.cross_entropy_factor = number_or("crossEntropyFactor", options_.cross_entropy_factor);
    options_.label_smoothing = number_or("labelSmoothing", options_.label_smoothing);
    options_.pooled = flag("pooled");
    options_.background = flag("background");
    options_.smooth_numerator = number("smoothNumerator");
    options_.smooth_denominator = number("smoothDenominator");
    in_.activation = static_cast<Activation>(code("activation", static_cast<int>(Activation::softmax)));
    options_.sigmoid = in_.activation == Activation::sigmoid;
    in_.cross_entropy = options_.cross_entropy_factor != 0;
    in_.uniform = in_.cross_entropy && options_.label_smoothing != 0;
    if (in_.cross_entropy && in_.activation == Activation::none) {
      throw Napi::RangeError::New(env, "Expected an activation for a cross-entropy");
    }
    in_.squared = flag("squared");
    in_.channels_last = flag("channelsLast");
    in_.has_ignore = from.Get("ignoreIndex").IsNumber();
    if (in_.has_ignore) in_.ignore_index = from.Get("ignoreIndex").As<Napi::Number>().Int64Value();
    if (from.Get("classWeights").IsTypedArray()) {
      const auto weights = from.Get("classWeights").As<Napi::Float64Array>();
      class_weights_.assign(weights.Data(), weights.Data() + weights.ElementLength());
    }
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const LabelFault fault = warpdice::run(bind(info).call);
      if (fault.count > 0) throw label_error(info.Env(), fault);
      return info.Env().Undefined();
    });
  }

  Napi::Value run_async(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      return Napi::Value(info.Env(), AsyncCall::start(info.Env(), bind(info), class_weights_, info));
    });
  }

 private:
  BoundCall bind(const Napi::CallbackInfo& info) const {
    Napi::Env env = info.Env();
    if (info.Length() != kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
    BoundCall bound;
    Call& call = bound.call;
    call.steps = info[kSteps].As<Napi::Number>().Uint32Value();
    call.options = options_;
    call.in = in_;
    call.in.samples = to_count(info[kSamples]);
    call.in.classes = to_count(info[kClasses]);
    call.in.voxels = to_count(info[kVoxels]);
    call.in.predictions.dtype = to_dtype(env, info[kPredictionsType]);
    call.in.target.dtype = to_dtype(env, info[kTargetType]);
    call.in.labels = info[kTargetIsLabels].ToBoolean();
    call.in.weight.dtype = to_dtype(env, info[kWeightType]);
    call.scale = info[kScale].As<Napi::Number>().DoubleValue();
    call.grad.dtype = to_dtype(env, info[kGradType]);
    call.grad.accumulate = info[kAccumulate].ToBoolean();
    if (!class_weights_.empty()) {
      call.options.class_weights = class_weights_.data();
      if (static_cast<int64_t>(class_weights_.size()) != call.in.classes) {
        throw Napi::RangeError::New(env, "Expected one class weight per class");
      }
    }

    const int64_t N = call.in.samples, C = call.in.classes, S = call.in.voxels, groups = call.groups();
    const bool none = options_.reduction == Reduction::none;
    const bool reads = call.steps & (kStatistics | kGradient), finalizes = call.steps & kFinalize;
    const bool differentiates = call.steps & kGradient;
    const size_t per_class = bytes_of(env, {groups, C}, sizeof(double));
    const size_t value = static_cast<size_t>(options_.value_count(groups, C)) * sizeof(double);
    std::array<size_t, aCount> needs = {};
    if (reads) {
      needs[aPredictions] = bytes_of(env, {N, C, S}, size_of(call.in.predictions.dtype));
      needs[aTarget] = call.in.labels ? bytes_of(env, {N, S}, size_of(call.in.target.dtype))
                                      : bytes_of(env, {N, C, S}, size_of(call.in.target.dtype));
      if (!info[kWeight].IsUndefined()) needs[aWeight] = bytes_of(env, {N, S}, size_of(call.in.weight.dtype));
    }
    if (!(call.steps & kStatistics) || !info[kStatisticsArray].IsUndefined())
      needs[aStatistics] = kSumCount * per_class;
    if (differentiates && none) needs[aUpstream] = value;
    if (finalizes) needs[aValue] = value;
    if (finalizes && !info[kParts].IsUndefined()) needs[aParts] = kPartCount * value;
    if (finalizes && !info[kPerClass].IsUndefined()) needs[aPerClass] = per_class;
    if (differentiates) needs[aGrad] = bytes_of(env, {N, C, S}, size_of(call.grad.dtype));

    for (size_t i = 0; i < aCount; i++) {
      if (needs[i] == 0) continue;
      Array& array = bound.arrays[i];
      array.memory = memory_of(env, info[kArrayArguments[i]], kArrayNames[i]);
      array.used_bytes = needs[i];
      array.output = i >= aValue || (i == aStatistics && (call.steps & kStatistics));
      if (array.memory.size_bytes < needs[i] || !array.memory.data) {
        throw Napi::RangeError::New(env, std::string("Expected at least ") + std::to_string(needs[i]) + " bytes for " +
                                             kArrayNames[i] + " but received " +
                                             std::to_string(array.memory.size_bytes));
      }
    }
    check_types(env, call, reads, differentiates);
    check_overlaps(env, bound);
    bound.connect();
    return bound;
  }

  static void check_types(Napi::Env env, const Call& call, bool reads, bool differentiates) {
    const Inputs& in = call.in;
    bool fits = !reads || is_float(in.predictions.dtype);
    fits = fits && (!reads || (in.labels ? is_label(in.target.dtype)
                                         : is_float(in.target.dtype) || in.target.dtype == DType::uint8));
    fits = fits && (!in.weight.data || is_float(in.weight.dtype) || in.weight.dtype == DType::uint8);
    const bool half = size_of(in.predictions.dtype) == 2;
    fits = fits &&
           (!differentiates || call.grad.dtype == in.predictions.dtype || (half && call.grad.dtype == DType::float32));
    if (!fits) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
  }

  LossOptions options_;
  Inputs in_;
  std::vector<double> class_weights_;
};

}  // namespace

Napi::Function make_loss_class(Napi::Env env) {
  return NativeLoss::DefineClass(env, "Loss",
                                 {NativeLoss::InstanceMethod<&NativeLoss::run>("run"),
                                  NativeLoss::InstanceMethod<&NativeLoss::run_async>("runAsync")});
}

}  // namespace warpdice
