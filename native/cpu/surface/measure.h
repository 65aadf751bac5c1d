#pragma once
// Surface metrics of a batch.
#include "cpu/regions.h"
#include "cpu/surface/grid.h"
#include "math/counts.h"

namespace warpdice::cpu {

/// Whether components are measured in place of surfaces, and which voxels they connect.
enum class Connectivity : uint8_t { none, faces, corners };

struct SurfaceInputs {
  CountInputs count;                   // what is of which class; valid, as count() finds
  Grid image;                          // of one sample
  bool elements = false;               // places are surface elements instead of voxels
  double fraction = 0.95;              // of the quantile
  const double* tolerances = nullptr;  // [scored()], or null
  double boundary_width = 0;           // 0: boundaries are not compared
  Regions regions;                     // measured in place of the classes, unless there are none; not for threshold

  Connectivity connectivity = Connectivity::none;

  /// How many classes or regions are measured.
  int64_t scored() const { return regions.empty() ? count.in.classes : regions.count(); }
  /// The numbers of each of them: kSurfaceNumbers, or kComponentNumbers of components.h.
  int64_t numbers() const;
};

/// The numbers of a sample and class.
enum SurfaceNumber : size_t {
  kTargetVoxels,
  kPredictedVoxels,
  // From the surface of the prediction to that of the target; 0 unless both have voxels, as all that follow.
  kPredictedSize,
  kPredictedSum,
  kPredictedLargest,
  kPredictedQuantile,
  kPredictedWithin,
  // From the surface of the target to that of the prediction.
  kTargetSize,
  kTargetSum,
  kTargetLargest,
  kTargetQuantile,
  kTargetWithin,
  kBoundaryBoth,
  kBoundaryEither,
  kSurfaceNumbers,
};

/// rows: [N,scored(),numbers()].
void measure_surfaces(const SurfaceInputs& inputs, double* rows);

}  // namespace warpdice::cpu
