#include "node/image_argument.h"

#include <cmath>

#include "node/array_argument.h"

namespace warpdice {

cpu::Grid read_image(Napi::Env env, const Napi::Value& sizes, const Napi::Value& spacing, int64_t voxels) {
  const auto axes = [](const Napi::Value& value) { return value.IsArray() ? value.As<Napi::Array>().Length() : 0; };
  const uint32_t rank = axes(sizes);
  if ((rank != 2 && rank != 3) || axes(spacing) != rank) {
    throw Napi::RangeError::New(env, "Expected two or three sizes, and a spacing for each");
  }
  cpu::Grid image;
  image.flat = rank == 2;
  for (uint32_t axis = 0; axis < rank; axis++) {
    const uint32_t to = image.flat ? 2 * axis : axis;
    image.sizes[to] = sizes.As<Napi::Array>().Get(axis).ToNumber().Int64Value();
    image.spacing[to] = spacing.As<Napi::Array>().Get(axis).ToNumber().DoubleValue();
    if (!(image.spacing[to] > 0) || !std::isfinite(image.spacing[to])) {
      throw Napi::RangeError::New(env, "Expected finite spacings above 0");
    }
  }
  bytes_of(env, {image.sizes[0], image.sizes[1], image.sizes[2]}, 1);
  if (image.voxels() != voxels) {
    throw Napi::RangeError::New(env, "Expected sizes whose product is the number of voxels");
  }
  return image;
}

}  // namespace warpdice
