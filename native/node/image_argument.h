#pragma once
#include <napi.h>

#include "cpu/surface/grid.h"

namespace warpdice {

/// An image of so many voxels. sizes, spacing: arrays of two or three numbers.
cpu::Grid read_image(Napi::Env env, const Napi::Value& sizes, const Napi::Value& spacing, int64_t voxels);

}  // namespace warpdice
