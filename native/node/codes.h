#pragma once
// The numbers that lib/ passes for names such as 'softmax': for every enum of the engine, the names that
// lib/native/codes.ts has for the same numbers. A test compares the two.
#include <napi.h>

#include "cpu/direct/run.h"
#include "math/call.h"
#include "math/counts.h"

namespace warpdice {

template <class Enum>
struct Code {
  const char* name;
  Enum value;
};

constexpr Code<Step> kStepCodes[] = {{"statistics", Step::kStatistics},
                                     {"finalize", Step::kFinalize},
                                     {"gradient", Step::kGradient},
                                     {"targetGradient", Step::kTargetGradient}};
constexpr Code<DType> kDTypeCodes[] = {
    {"float32", DType::float32},   {"float64", DType::float64}, {"float16", DType::float16},
    {"bfloat16", DType::bfloat16}, {"uint8", DType::uint8},     {"int32", DType::int32},
    {"int64", DType::int64},       {"int16", DType::int16},     {"uint16", DType::uint16}};
constexpr Code<LossKind> kLossKindCodes[] = {{"dice", LossKind::dice},
                                             {"jaccard", LossKind::jaccard},
                                             {"tversky", LossKind::tversky},
                                             {"generalized", LossKind::generalized},
                                             {"wasserstein", LossKind::wasserstein},
                                             {"matthews", LossKind::matthews},
                                             {"microMatthews", LossKind::micro_matthews},
                                             {"multiclassMatthews", LossKind::multiclass_matthews}};
constexpr Code<cpu::direct::Kind> kDirectKindCodes[] = {{"none", cpu::direct::Kind::none},
                                                        {"lovasz", cpu::direct::Kind::lovasz},
                                                        {"lovasz-hinge", cpu::direct::Kind::lovasz_hinge},
                                                        {"top-k", cpu::direct::Kind::top_k},
                                                        {"boundary", cpu::direct::Kind::boundary},
                                                        {"hausdorff", cpu::direct::Kind::hausdorff},
                                                        {"cldice", cpu::direct::Kind::cldice}};
constexpr Code<Reduction> kReductionCodes[] = {
    {"none", Reduction::none}, {"mean", Reduction::mean}, {"sum", Reduction::sum}};
constexpr Code<Activation> kActivationCodes[] = {
    {"none", Activation::none}, {"sigmoid", Activation::sigmoid}, {"softmax", Activation::softmax}};
constexpr Code<Overlap> kOverlapCodes[] = {
    {"product", Overlap::product}, {"minimum", Overlap::minimum}, {"wasserstein", Overlap::wasserstein}};
constexpr Code<Transform> kTransformCodes[] = {
    {"none", Transform::none}, {"power", Transform::power}, {"log", Transform::log}, {"log-cosh", Transform::log_cosh}};
constexpr Code<Weighting> kWeightingCodes[] = {{"square", Weighting::square},
                                               {"simple", Weighting::simple},
                                               {"uniform", Weighting::uniform},
                                               {"plusOne", Weighting::plus_one}};
constexpr Code<Unified> kUnifiedCodes[] = {
    {"none", Unified::none}, {"symmetric", Unified::symmetric}, {"asymmetric", Unified::asymmetric}};
constexpr Code<Absent> kAbsentPolicyCodes[] = {
    {"formula", Absent::formula}, {"skip", Absent::skip}, {"perfect", Absent::perfect}, {"worst", Absent::worst}};
constexpr Code<Decision> kDecisionCodes[] = {
    {"argmax", Decision::argmax}, {"threshold", Decision::threshold}, {"labels", Decision::labels}};

/// The enumerator of a code, which must be in the table: its numbers are 0, 1, ...
template <class Enum, size_t size>
Enum to_enum(Napi::Env env, const Napi::Value& code, const Code<Enum> (&table)[size], const char* name) {
  const double number = code.IsUndefined() ? 0 : code.ToNumber().DoubleValue();
  if (number >= 0 && number < static_cast<double>(size)) return table[static_cast<size_t>(number)].value;
  throw Napi::RangeError::New(env, std::string("Expected a code for ") + name);
}

inline DType to_dtype(Napi::Env env, const Napi::Value& value) {
  const uint32_t code = value.As<Napi::Number>().Uint32Value();
  if (code >= std::size(kDTypeCodes)) throw Napi::TypeError::New(env, "Expected a dtype code");
  return static_cast<DType>(code);
}

}  // namespace warpdice
