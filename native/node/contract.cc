#include "node/contract.h"

#include "node/call_arguments.h"
#include "node/codes.h"
#include "node/count_arguments.h"
#include "node/predict_function.h"
#include "node/resample_function.h"
#include "node/surface_arguments.h"

namespace warpdice {
namespace {

template <size_t size>
Napi::Array to_array(Napi::Env env, const char* const (&names)[size]) {
  Napi::Array array = Napi::Array::New(env, size);
  for (uint32_t i = 0; i < size; i++) array.Set(i, names[i]);
  return array;
}

template <class Enum, size_t size>
Napi::Object to_object(Napi::Env env, const Code<Enum> (&table)[size]) {
  Napi::Object object = Napi::Object::New(env);
  for (const auto& [name, value] : table) object.Set(name, static_cast<uint32_t>(value));
  return object;
}

}  // namespace

Napi::Object make_contract(Napi::Env env) {
  Napi::Object arguments = Napi::Object::New(env);
  arguments.Set("call", to_array(env, kArgumentNames));
  arguments.Set("count", to_array(env, BoundCount::kArgumentNames));
  arguments.Set("resampling", to_array(env, BoundResample::kArgumentNames));
  arguments.Set("prediction", to_array(env, BoundPrediction::kArgumentNames));
  Napi::Object codes = Napi::Object::New(env);
  codes.Set("Step", to_object(env, kStepCodes));
  codes.Set("DTypeCode", to_object(env, kDTypeCodes));
  codes.Set("LossKind", to_object(env, kLossKindCodes));
  codes.Set("DirectKind", to_object(env, kDirectKindCodes));
  codes.Set("Reduction", to_object(env, kReductionCodes));
  codes.Set("Activation", to_object(env, kActivationCodes));
  codes.Set("Overlap", to_object(env, kOverlapCodes));
  codes.Set("Transform", to_object(env, kTransformCodes));
  codes.Set("Weighting", to_object(env, kWeightingCodes));
  codes.Set("Unified", to_object(env, kUnifiedCodes));
  codes.Set("AbsentPolicy", to_object(env, kAbsentPolicyCodes));
  codes.Set("Decision", to_object(env, kDecisionCodes));
  Napi::Object contract = Napi::Object::New(env);
  contract.Set("arguments", arguments);
  contract.Set("surfaceArguments", to_array(env, BoundSurfaces::kArgumentNames));
  contract.Set("codes", codes);
  return contract;
}

}  // namespace warpdice
