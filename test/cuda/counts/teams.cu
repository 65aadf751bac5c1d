// The kernels of the commonest calls alone, which are soon compiled for several architectures: float32, labels, no
// cross-entropy.
#include "cuda/kernels/team_gradient.cuh"
#include "cuda/kernels/team_statistics.cuh"

namespace warpdice::cuda {

#define TEAMS_OF(classes)                                                                                         \
  template __global__ void team_statistics_kernel<float, classes, false, false>(Inputs, TeamShape, Sums*, Notes); \
  template __global__ void team_gradient_kernel<float, classes, false, false>(                                    \
      Inputs, TeamShape, const ClassSlope<float>*, bool, GradientOut)

TEAMS_OF(1);
TEAMS_OF(2);
TEAMS_OF(3);
TEAMS_OF(4);
TEAMS_OF(5);

}  // namespace warpdice::cuda
