#pragma once
// Arguments that are JavaScript arrays.
#include <array>
#include <string>
#include <vector>

#include "math/types.h"
#include "node/napi_util.h"

namespace warpdice {

/// An array of at most `most` elements.
inline Napi::Array array_of(const Napi::Value& value, const char* name, int64_t most) {
  if (value.IsArray() && value.As<Napi::Array>().Length() <= most) return value.As<Napi::Array>();
  throw Napi::TypeError::New(value.Env(), std::string("Expected an array of fitting length for ") + name);
}

/// The labels to ignore.
struct IgnoredLabels {
  std::array<int64_t, kMaxIgnored> labels = {};
  int count = 0;

  /// The inputs refer to these labels.
  void connect(Inputs& in) const {
    in.has_ignore = count > 0;
    in.ignore_index = labels[0];
    in.more_ignored = labels.data() + 1;
    in.more_ignored_count = count > 1 ? count - 1 : 0;
  }
};

/// A number, a Float64Array or undefined.
inline IgnoredLabels ignored_argument(const Napi::Value& value) {
  IgnoredLabels ignored;
  if (value.IsNumber()) {
    ignored.labels[0] = value.As<Napi::Number>().Int64Value();
    ignored.count = 1;
  }
  if (!value.IsTypedArray()) return ignored;
  const auto list = value.As<Napi::TypedArray>();
  if (list.TypedArrayType() != napi_float64_array || list.ElementLength() > ignored.labels.size()) {
    throw Napi::TypeError::New(value.Env(), "Expected a Float64Array of fitting length for ignoreIndex");
  }
  const double* const numbers = value.As<Napi::Float64Array>().Data();
  for (size_t i = 0; i < list.ElementLength(); i++) {
    if (!(numbers[i] >= -0x1p53 && numbers[i] <= 0x1p53)) {
      throw Napi::RangeError::New(value.Env(), "Expected integers for ignoreIndex");
    }
    ignored.labels[i] = static_cast<int64_t>(numbers[i]);
  }
  ignored.count = static_cast<int>(list.ElementLength());
  return ignored;
}

/// [regions][], each a list of classes; none for undefined.
inline std::vector<std::vector<int32_t>> regions_argument(const Napi::Value& value, int64_t classes) {
  constexpr int64_t kMaxRegions = 65536;
  std::vector<std::vector<int32_t>> regions;
  if (value.IsUndefined()) return regions;
  const Napi::Array lists = array_of(value, "regions", kMaxRegions);
  for (uint32_t i = 0; i < lists.Length(); i++) {
    const Napi::Array list = array_of(lists.Get(i), "regions", classes);
    std::vector<int32_t> members;
    for (uint32_t k = 0; k < list.Length(); k++) {
      const Napi::Value number = list.Get(k);
      const double c = number.IsNumber() ? number.As<Napi::Number>().DoubleValue() : -1;
      if (!(c >= 0 && c < static_cast<double>(classes))) {
        throw Napi::RangeError::New(value.Env(), "Expected classes for regions");
      }
      members.push_back(static_cast<int32_t>(c));
    }
    regions.push_back(std::move(members));
  }
  return regions;
}

/// A name for each sample, '' for none; none at all for undefined.
inline std::vector<std::string> names_argument(const Napi::Value& value, int64_t samples) {
  std::vector<std::string> names;
  if (value.IsUndefined()) return names;
  const Napi::Array list = array_of(value, "names", samples);
  if (list.Length() != samples) throw Napi::RangeError::New(value.Env(), "Expected a name for each sample");
  for (uint32_t i = 0; i < list.Length(); i++) {
    const Napi::Value name = list.Get(i);
    if (!name.IsString()) throw Napi::TypeError::New(value.Env(), "Expected strings for names");
    names.push_back(name.As<Napi::String>().Utf8Value());
  }
  return names;
}

}  // namespace warpdice
