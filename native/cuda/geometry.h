#pragma once
// Which kernels read a tensor, and how their blocks share it. This follows from shape, dtypes and options alone, not
// from the GPU and not from pointers, so that the same input gives the same bits everywhere.
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

Geometry geometry_of(const Inputs& in);

/// The geometry of dL/dt, which only tile.cuh computes.
Geometry target_geometry_of(const Inputs& in);

}  // namespace warpdice::cuda
