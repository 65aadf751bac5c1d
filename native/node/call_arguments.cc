#include "node/call_arguments.h"

#include "node/image_argument.h"

namespace warpdice {
namespace {

/// A Float64Array of the options, or nothing.
std::vector<double> numbers(Napi::Env env, const Napi::Object& from, const char* name) {
  const Napi::Value value = from.Get(name);
  if (value.IsUndefined()) return {};
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array) {
    throw Napi::TypeError::New(env, std::string("Expected a Float64Array for ") + name);
  }
  const auto array = value.As<Napi::Float64Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

}  // namespace

LossSetup::LossSetup(Napi::Env env, const Napi::Object& from) {
  const auto number = [&](const char* name) { return from.Get(name).ToNumber().DoubleValue(); };
  const auto flag = [&](const char* name) { return from.Get(name).ToBoolean().Value(); };
  const auto number_or = [&](const char* name, double missing) {
    return from.Get(name).IsUndefined() ? missing : number(name);
  };
  const auto code = [&](const char* name, const auto& table) { return to_enum(env, from.Get(name), table, name); };
  options.kind = code("kind", kLossKindCodes);
  direct.kind = code("direct", kDirectKindCodes);
  direct.smooth_harmonic = number_or("smoothHarmonic", 0);
  const double iterations = number_or("iterations", 0);
  if (!(iterations >= 0 && iterations <= 1000)) {
    throw Napi::RangeError::New(env, "Expected iterations from 0 to 1000");
  }
  direct.iterations = static_cast<int64_t>(iterations);
  options.reduction = code("reduction", kReductionCodes);
  options.transform = code("transform", kTransformCodes);
  options.weighting = code("weighting", kWeightingCodes);
  options.absent = code("absent", kAbsentPolicyCodes);
  options.unified = code("unified", kUnifiedCodes);
  options.delta = number_or("delta", options.delta);
  options.alpha = number_or("alpha", options.alpha);
  options.beta = number_or("beta", options.beta);
  options.gamma = number_or("gamma", options.gamma);
  options.overlap_factor = number_or("overlapFactor", options.overlap_factor);
  options.cross_entropy_factor = number_or("crossEntropyFactor", options.cross_entropy_factor);
  options.focal_factor = number_or("focalFactor", options.focal_factor);
  options.label_smoothing = number_or("labelSmoothing", options.label_smoothing);
  options.pooled = flag("pooled");
  options.background = flag("background");
  options.smooth_numerator = number("smoothNumerator");
  options.smooth_denominator = number("smoothDenominator");
  options.largest_distance = number_or("largestDistance", options.largest_distance);
  in.overlap = code("overlap", kOverlapCodes);
  in.activation = code("activation", kActivationCodes);
  distances = numbers(env, from, "distances");
  if (in.overlap == Overlap::wasserstein) in.distances = distances.data();
  make_consistent(in, options);
  in.focal_gamma = number_or("focalGamma", in.focal_gamma);
  if ((in.cross_entropy || in.focal) && in.activation == Activation::none) {
    throw Napi::RangeError::New(env, "Expected an activation for a cross-entropy");
  }
  if (!(in.focal_gamma >= 0)) throw Napi::RangeError::New(env, "Expected focalGamma from 0");
  reproducible = flag("reproducible");
  in.squared = flag("squared");
  in.channels_last = flag("channelsLast");
  ignored = ignored_argument(from.Get("ignoreIndex"));
  ignored.connect(in);
  class_weights = numbers(env, from, "classWeights");
  if (!class_weights.empty()) options.class_weights = class_weights.data();
  entropy_weights = numbers(env, from, "entropyWeights");
  if (!entropy_weights.empty()) options.entropy_weights = entropy_weights.data();
  positive_weight = numbers(env, from, "positiveWeight");
  if (!positive_weight.empty()) in.positive_weight = {positive_weight.data(), positive_weight.size() == 1};
  focal_alpha = numbers(env, from, "focalAlpha");
  if (!focal_alpha.empty()) in.focal_alpha = {focal_alpha.data(), focal_alpha.size() == 1};
  if ((options.kind == LossKind::wasserstein) != (in.overlap == Overlap::wasserstein)) {
    throw Napi::RangeError::New(env, "Expected the overlap wasserstein for the kind wasserstein, and for no other");
  }
  if (in.overlap != Overlap::wasserstein) return;
  const double background = number_or("backgroundIndex", 0);
  const bool inside = background >= 0 && background * background < static_cast<double>(distances.size());
  if (!inside) throw Napi::RangeError::New(env, "Expected backgroundIndex to be a class of distances");
  options.background_index = static_cast<int64_t>(background);
}

BoundCall::BoundCall(std::shared_ptr<const LossSetup> loss, const Napi::CallbackInfo& info, MemoryOf memory,
                     DType upstream, DType pairs)
    : setup(std::move(loss)) {
  Napi::Env env = info.Env();
  if (info.Length() < kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
  read_arguments(info);
  check_types(env);
  const std::array<size_t, aCount> needs = needed_bytes(info, upstream, pairs);
  for (size_t i = 0; i < aCount; i++) {
    if (needs[i] == 0) continue;
    arrays[i] = bind_array(env, info[kArrayArguments[i]], name_of(i), dtype_of(i, upstream, pairs), needs[i], memory);
  }
  check_overlaps(env);
  connect();
}

void BoundCall::connect() {
  call.in.predictions.data = arrays[aPredictions].memory.data;
  call.in.target.data = arrays[aTarget].memory.data;
  weight().data = arrays[aWeight].memory.data;
  call.statistics = static_cast<double*>(arrays[aStatistics].memory.data);
  call.upstream = static_cast<const double*>(arrays[aUpstream].memory.data);
  call.pairs = static_cast<const double*>(arrays[aPairs].memory.data);
  call.value = static_cast<double*>(arrays[aValue].memory.data);
  call.per_class = static_cast<double*>(arrays[aPerClass].memory.data);
  call.grad.data = arrays[aGrad].memory.data;
  call.parts = static_cast<double*>(arrays[aParts].memory.data);
  call.target_grad.data = arrays[aTargetGrad].memory.data;
  call.head.weight.data = arrays[aHeadWeight].memory.data;
  call.head.bias.data = arrays[aHeadBias].memory.data;
  call.head.weight_grad.data = arrays[aHeadWeightGrad].memory.data;
  call.head.bias_grad.data = arrays[aHeadBiasGrad].memory.data;
}

bool BoundCall::accumulates(size_t array) const {
  switch (array) {
    case aGrad:
      return call.grad.accumulate;
    case aTargetGrad:
      return call.target_grad.accumulate;
    case aHeadWeightGrad:
      return call.head.weight_grad.accumulate;
    case aHeadBiasGrad:
      return call.head.bias_grad.accumulate;
    default:
      return false;
  }
}

void BoundCall::read_arguments(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto count = [&](Argument argument) { return info[argument].As<Napi::Number>().Int64Value(); };
  call.steps = info[kSteps].As<Napi::Number>().Uint32Value();
  call.options = setup->options;
  call.in = setup->in;
  call.reproducible = setup->reproducible;
  call.in.samples = count(kSamples);
  call.in.classes = count(kClasses);
  call.in.voxels = count(kVoxels);
  call.in.predictions.dtype = to_dtype(env, info[kPredictionsType]);
  call.in.target.dtype = to_dtype(env, info[kTargetType]);
  call.in.labels = info[kTargetIsLabels].ToBoolean();
  has_pairs_ = !info[kPairs].IsUndefined();
  weight_of_classes_ = info[kWeightOfClasses].ToBoolean();
  weight().dtype = to_dtype(env, info[kWeightType]);
  call.scale = info[kScale].As<Napi::Number>().DoubleValue();
  call.grad.dtype = to_dtype(env, info[kGradType]);
  call.grad.accumulate = call.target_grad.accumulate = info[kAccumulate].ToBoolean();
  call.target_grad.dtype = call.in.target.dtype;

  const int64_t N = call.in.samples, C = call.in.classes;
  bytes_of(env, {N, C, call.in.voxels}, 2 * sizeof(double));  // the engine multiplies them, whatever the steps are
  call.head.channels = count(kChannels);
  if (call.head.channels) read_head(info);
  if (is_spatial(setup->direct.kind)) image = read_image(env, info[kSizes], info[kSpacing], call.in.voxels);
  call.statistics_samples = count(kStatisticsSamples);
  call.sample_offset = count(kSampleOffset);
  const int64_t all = call.statistics_samples ? call.statistics_samples : N;
  const bool whole = all == N && call.sample_offset == 0;
  const bool inside = call.sample_offset >= 0 && N <= all && call.sample_offset <= all - N;
  if (!inside || (!whole && (call.steps & kStatistics))) {
    throw Napi::RangeError::New(env, "Expected the samples of the call to be among those of the statistics");
  }
  const auto check_count = [&](const std::vector<double>& numbers, bool may_be_one, const char* name) {
    const auto size = static_cast<int64_t>(numbers.size());
    if (size == 0 || size == C || (may_be_one && size == 1)) return;
    throw Napi::RangeError::New(env, std::string("Expected one number per class for ") + name);
  };
  check_count(setup->class_weights, false, "classWeights");
  check_count(setup->entropy_weights, false, "entropyWeights");
  check_count(setup->positive_weight, true, "positiveWeight");
  check_count(setup->focal_alpha, true, "focalAlpha");
  const auto distances = static_cast<double>(setup->distances.size());
  if (call.in.overlap == Overlap::wasserstein && static_cast<double>(C) * static_cast<double>(C) != distances) {
    throw Napi::RangeError::New(env, "Expected a distance for each pair of classes");
  }
}

/// The arguments of a call with a head. Logits that are never in memory have no use for the other activations.
void BoundCall::read_head(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Head& head = call.head;
  head.weight.dtype = head.bias.dtype = to_dtype(env, info[kHeadType]);
  head.weight_grad.dtype = head.bias_grad.dtype = to_dtype(env, info[kHeadGradType]);
  head.weight_grad.accumulate = info[kAccumulateWeight].ToBoolean();
  head.bias_grad.accumulate = info[kAccumulateBias].ToBoolean();
  const int64_t C = call.in.classes;
  if (head.channels > kMaxHeadSize || C > kMaxHeadSize) {
    throw Napi::RangeError::New(env, "Expected at most 32768 channels and classes for a head");
  }
  if (head.channels < 1 || call.in.activation == Activation::none) {
    throw Napi::RangeError::New(env, "Expected channels from 1 and an activation for a head");
  }
  const DType x = call.in.predictions.dtype, w = head.weight.dtype, g = head.weight_grad.dtype;
  const bool fits = (w == x || w == DType::float32) && (g == w || (size_of(w) == 2 && g == DType::float32));
  if (!fits) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
}

/// The bytes that the call uses of each array; 0 for an array that it does not use.
std::array<size_t, aCount> BoundCall::needed_bytes(const Napi::CallbackInfo& info, DType upstream, DType pairs) const {
  Napi::Env env = info.Env();
  const int64_t N = call.in.samples, C = call.in.classes, S = call.in.voxels, groups = call.groups();
  const int64_t K = call.channels();
  const bool finalizes = call.steps & kFinalize;
  const bool differentiates = call.steps & (kGradient | kTargetGradient);
  const auto given = [&](Argument argument) { return !info[argument].IsUndefined(); };
  const size_t per_class = bytes_of(env, {groups, C}, sizeof(double));
  const int64_t values = call.options.value_count(groups, C);
  const size_t value = bytes_of(env, {values}, sizeof(double));
  const size_t target_element = size_of(call.in.target.dtype);
  std::array<size_t, aCount> needs = {};
  if (call.reads()) {
    needs[aPredictions] = bytes_of(env, {N, K, S}, size_of(call.in.predictions.dtype));
    needs[aTarget] = bytes_of(env, {N, call.in.labels ? 1 : C, S}, target_element);
    const Operand& weight = weight_of_classes_ ? call.in.class_weight : call.in.weight;
    if (given(kWeight)) needs[aWeight] = bytes_of(env, {N, weight_of_classes_ ? C : 1, S}, size_of(weight.dtype));
  }
  if (!(call.steps & kStatistics) || given(kStatisticsArray))
    needs[aStatistics] = bytes_of(env, {kSumCount}, per_class);
  if (differentiates && call.options.reduction == Reduction::none)
    needs[aUpstream] = bytes_of(env, {values}, size_of(upstream));
  if (has_pairs_) needs[aPairs] = bytes_of(env, {call.options.pooled ? N : groups, C}, size_of(pairs));
  if (finalizes) needs[aValue] = value;
  if (finalizes && given(kParts)) needs[aParts] = bytes_of(env, {kPartCount}, value);
  if (finalizes && given(kPerClass)) needs[aPerClass] = per_class;
  // Of a head's gradients each may be left out.
  const bool has_head = call.head.channels > 0;
  if ((call.steps & kGradient) && (!has_head || given(kGrad))) {
    needs[aGrad] = bytes_of(env, {N, K, S}, size_of(call.grad.dtype));
  }
  if (has_head) {
    const size_t element = size_of(call.head.weight.dtype), grad_element = size_of(call.head.weight_grad.dtype);
    needs[aHeadWeight] = bytes_of(env, {C, K}, element);
    if (given(kHeadBias)) needs[aHeadBias] = bytes_of(env, {C}, element);
    const bool differentiates = call.steps & kGradient;
    if (differentiates && given(kHeadWeightGrad)) needs[aHeadWeightGrad] = bytes_of(env, {C, K}, grad_element);
    if (differentiates && given(kHeadBiasGrad)) needs[aHeadBiasGrad] = bytes_of(env, {C}, grad_element);
  }
  if (call.steps & kTargetGradient) needs[aTargetGrad] = bytes_of(env, {N, C, S}, target_element);
  return needs;
}

/// The dtype of an array's elements.
DType BoundCall::dtype_of(size_t array, DType upstream, DType pairs) const {
  switch (array) {
    case aPredictions:
      return call.in.predictions.dtype;
    case aTarget:
    case aTargetGrad:
      return call.in.target.dtype;
    case aWeight:
      return weight_of_classes_ ? call.in.class_weight.dtype : call.in.weight.dtype;
    case aUpstream:
      return upstream;
    case aPairs:
      return pairs;
    case aGrad:
      return call.grad.dtype;
    case aHeadWeight:
    case aHeadBias:
      return call.head.weight.dtype;
    case aHeadWeightGrad:
    case aHeadBiasGrad:
      return call.head.weight_grad.dtype;
    default:
      return DType::float64;
  }
}

void BoundCall::check_types(Napi::Env env) const {
  const Inputs& in = call.in;
  const DType p = in.predictions.dtype, t = in.target.dtype, g = call.grad.dtype;
  bool fits = !call.reads() || (is_float(p) && operands_fit(in));
  if (call.steps & kGradient) fits = fits && (g == p || (size_of(p) == 2 && g == DType::float32));
  if (call.steps & kTargetGradient) fits = fits && !in.labels && is_float(t);
  if (setup->direct.kind != cpu::direct::Kind::none) {
    const bool whole = (call.steps | kGradient) == (kStatistics | kFinalize | kGradient);
    fits = fits && whole && size_of(p) >= 4 && is_label(t) && !in.weight.data && !call.head.channels && !has_pairs_;
  }
  if (!fits) throw Napi::TypeError::New(env, "Expected a supported combination of dtypes");
}

void BoundCall::check_overlaps(Napi::Env env) const {
  for (size_t i = 0; i < aCount; i++) {
    if (!writes(i)) continue;
    for (size_t j = 0; j < aCount; j++) {
      if (i == j || !overlap(arrays[i], arrays[j])) continue;
      // The gradient may replace the predictions, element by element.
      const bool in_place = i == aGrad && j == aPredictions && call.grad.dtype == call.in.predictions.dtype &&
                            arrays[i].memory.data == arrays[j].memory.data && !call.grad.accumulate;
      if (in_place) continue;
      throw Napi::RangeError::New(env, std::string("Expected memory of its own for ") + name_of(i) +
                                           " but received an array that overlaps " + name_of(j));
    }
  }
}

/// The name in messages: of a head's arrays, that of the part.
const char* BoundCall::name_of(size_t array) const {
  if (call.head.channels && array == aPredictions) return "predictions.features";
  if (call.head.channels && array == aGrad) return "out.grad.features";
  return kArrayNames[array];
}

}  // namespace warpdice
