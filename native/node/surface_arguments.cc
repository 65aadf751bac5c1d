#include "node/surface_arguments.h"

#include "node/image_argument.h"

namespace warpdice {
namespace {

Napi::Value argument(const Napi::CallbackInfo& info, BoundSurfaces::Argument which) {
  return info[BoundCount::kArguments + which];
}

/// The arguments that counting has too, if the others are there.
BoundCount bind_count(const Napi::CallbackInfo& info) {
  if (info.Length() >= BoundCount::kArguments + BoundSurfaces::kArguments) return BoundCount(info);
  throw Napi::TypeError::New(info.Env(), "Expected the arguments of binding.d.ts");
}

}  // namespace

BoundSurfaces::BoundSurfaces(const Napi::CallbackInfo& info) : count(bind_count(info)) {
  Napi::Env env = info.Env();
  const Inputs& in = count.inputs.in;
  if (in.weight.data) throw Napi::TypeError::New(env, "Expected no weight for surfaces");
  inputs_.image = read_image(env, argument(info, kSizes), argument(info, kSpacing), in.voxels);
  inputs_.elements = argument(info, kElements).ToBoolean();
  inputs_.fraction = argument(info, kFraction).ToNumber().DoubleValue();
  inputs_.boundary_width = argument(info, kBoundaryWidth).ToNumber().DoubleValue();
  if (!(inputs_.fraction >= 0 && inputs_.fraction <= 1) || !(inputs_.boundary_width >= 0)) {
    throw Napi::RangeError::New(env, "Expected a fraction from 0 to 1 and a width from 0");
  }
  const auto numbers = [&](Argument which, const char* name, std::initializer_list<int64_t> sizes) {
    return bind_array(env, argument(info, which), name, DType::float64, bytes_of(env, sizes, sizeof(double)),
                      memory_of);
  };
  inputs_.regions = cpu::Regions(in.classes, regions_argument(argument(info, kRegions), in.classes));
  if (!inputs_.regions.empty() && count.inputs.decision == Decision::threshold) {
    throw Napi::TypeError::New(env, "Expected no regions for this decision");
  }
  const int64_t scored = inputs_.regions.empty() ? in.classes : inputs_.regions.count();
  const double connectivity = argument(info, kConnectivity).ToNumber().DoubleValue();
  if (connectivity != 0 && connectivity != 1 && connectivity != 2) {
    throw Napi::RangeError::New(env, "Expected 0, 1 or 2 for connectivity");
  }
  inputs_.connectivity = static_cast<cpu::Connectivity>(static_cast<int>(connectivity));
  if (!argument(info, kTolerances).IsUndefined()) {
    const Array given = numbers(kTolerances, "tolerances", {scored});
    const auto* first = static_cast<const double*>(given.memory.data);
    tolerances_.assign(first, first + scored);
  }
  rows = numbers(kRows, "rows", {in.samples, scored, inputs_.numbers()});
  if (!rows.memory.shared) throw Napi::TypeError::New(env, "Expected shared memory for rows");
  for (const Array* input : {&count.predictions, &count.target}) {
    if (overlap(rows, *input)) throw Napi::RangeError::New(env, "Expected memory of its own for rows");
  }
}

cpu::SurfaceInputs BoundSurfaces::inputs() const {
  cpu::SurfaceInputs inputs = inputs_;
  inputs.count = count.inputs;
  inputs.count.by_sample = false;
  if (!tolerances_.empty()) inputs.tolerances = tolerances_.data();
  return inputs;
}

}  // namespace warpdice
