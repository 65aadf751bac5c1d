#include "cpu/surface/measure.h"

#include <algorithm>

#include "cpu/pool.h"
#include "cpu/surface/boundary.h"
#include "cpu/surface/class_maps.h"
#include "cpu/surface/components.h"
#include "cpu/surface/surface.h"

namespace warpdice::cpu {
namespace {

void write(const Distances& distances, double* to) {
  const double numbers[] = {distances.size, distances.sum, distances.largest, distances.quantile, distances.within};
  std::copy(std::begin(numbers), std::end(numbers), to);
}

/// scored: the class, or the region.
void measure_class(const SurfaceInputs& inputs, const ClassMaps& maps, int64_t scored, double* row) {
  std::fill(row, row + inputs.numbers(), 0.0);
  const auto classes =
      inputs.regions.empty() ? std::vector<int32_t>{static_cast<int32_t>(scored)} : inputs.regions.members(scored);
  const Box box = maps.box(classes);
  if (box.empty()) return;
  const Grid grid = maps.grid(box);
  const auto predicted = uninitialized<uint8_t>(grid.voxels()), target = uninitialized<uint8_t>(grid.voxels());
  maps.write_mask(true, classes, box, predicted.get());
  maps.write_mask(false, classes, box, target.get());
  row[kTargetVoxels] = static_cast<double>(count_by_plane(grid, target.get()).back());
  row[kPredictedVoxels] = static_cast<double>(count_by_plane(grid, predicted.get()).back());
  if (inputs.connectivity != Connectivity::none) {
    return compare_components(grid, predicted.get(), target.get(), inputs.connectivity == Connectivity::corners, row);
  }
  if (row[kTargetVoxels] == 0 || row[kPredictedVoxels] == 0) return;

  const Surface of_predicted(grid, predicted.get(), inputs.elements), of_target(grid, target.get(), inputs.elements);
  DistanceOptions options;
  options.elements = inputs.elements;
  options.fraction = inputs.fraction;
  options.tolerance = inputs.tolerances ? inputs.tolerances[scored] : 0;
  write(distances_between(of_predicted, of_target, options), row + kPredictedSize);
  write(distances_between(of_target, of_predicted, options), row + kTargetSize);
  if (inputs.boundary_width == 0) return;
  const Boundaries boundaries = compare_boundaries(grid, predicted.get(), target.get(), inputs.boundary_width);
  row[kBoundaryBoth] = static_cast<double>(boundaries.both);
  row[kBoundaryEither] = static_cast<double>(boundaries.either);
}

}  // namespace

int64_t SurfaceInputs::numbers() const {
  return static_cast<int64_t>(connectivity == Connectivity::none ? +kSurfaceNumbers : +kComponentNumbers);
}

void measure_surfaces(const SurfaceInputs& inputs, double* rows) {
  const int64_t N = inputs.count.in.samples, C = inputs.scored();
  const bool several = inputs.count.decision == Decision::threshold;  // classes of a voxel
  const auto measure = [&](int64_t i) {
    const int64_t first = several ? i : i * C, last = several ? i + 1 : first + C;
    const ClassMaps maps(inputs.count, inputs.image, first / C, several ? first % C : -1);
    for (int64_t at = first; at < last; at++) {
      measure_class(inputs, maps, at % C, rows + at * inputs.numbers());
    }
  };
  const int64_t tasks = several ? N * C : N;
  if (inputs.image.voxels() < kLargeImage) return Pool::instance().parallel_for(tasks, 1, measure);
  for (int64_t i = 0; i < tasks; i++) measure(i);
}

}  // namespace warpdice::cpu
