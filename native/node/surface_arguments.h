#pragma once
// One call of the function `measureSurfaces` of binding.d.ts: the arguments of a count, and more.
#include <vector>

#include "cpu/surface/measure.h"
#include "node/count_arguments.h"

namespace warpdice {

/// The arguments after those of a count: the rest of `NativeSurfaces` of binding.d.ts, in order.
#define WARPDICE_SURFACE_ARGUMENTS(X) \
  X(kSizes, sizes)                    \
  X(kSpacing, spacing)                \
  X(kElements, elements)              \
  X(kFraction, fraction)              \
  X(kTolerances, tolerances)          \
  X(kBoundaryWidth, boundaryWidth)    \
  X(kConnectivity, connectivity)      \
  X(kRegions, regions)                \
  X(kRows, rows)

struct BoundSurfaces {
  enum Argument : size_t { WARPDICE_SURFACE_ARGUMENTS(WARPDICE_ARGUMENT) kArguments };
  static constexpr const char* kArgumentNames[] = {WARPDICE_SURFACE_ARGUMENTS(WARPDICE_ARGUMENT_NAME)};

  BoundCount count;
  Array rows;  // shared memory: it is written while JavaScript runs

  explicit BoundSurfaces(const Napi::CallbackInfo& info);

  /// The call with the memory that `count` has now.
  cpu::SurfaceInputs inputs() const;

 private:
  cpu::SurfaceInputs inputs_;
  std::vector<double> tolerances_;
};

}  // namespace warpdice
