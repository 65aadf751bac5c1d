#pragma once
// Connected components of masks. A mask lies in a grid with a margin of zeros.
#include "cpu/surface/grid.h"

namespace warpdice::cpu {

/// Labels the components 1, 2, ... in the order of their first voxels, in time linear in the grid. corners: voxels are
/// connected that share a corner or an edge, else only those that share a face. Returns how many components there are.
int32_t label_components(const Grid& grid, const uint8_t* mask, bool corners, int32_t* labels);

/// Writes for each voxel of `asked` which labelled voxel is nearest, by its label; of equally near ones the first along
/// axis 2, then 1, then 0, as SciPy's distance transform has it. At least one voxel has a label.
void nearest_labels(const Grid& grid, const int32_t* labels, const uint8_t* asked, int32_t* nearest);

/// The numbers of a sample and class that tell how well the components of its target are found. P and T: a component of
/// the prediction and of the target. They match where they share a voxel.
enum ComponentNumber : size_t {
  kTargetVoxelCount,
  kPredictedVoxelCount,
  kTargetComponents,
  kPredictedComponents,
  kMatchedTarget,     // components
  kMatchedPredicted,  // components
  kSumOfRegionDice,   // over the T: Dice of the voxels that are nearer to T than to other components of the target
  kSumOfMatchDice,    // over the T: Dice of T and all P that match it
  kComponentNumbers,
};

/// Fills in kTargetComponents and all that follow.
void compare_components(const Grid& grid, const uint8_t* predicted, const uint8_t* target, bool corners, double* row);

}  // namespace warpdice::cpu
