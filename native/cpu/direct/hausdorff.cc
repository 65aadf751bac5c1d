#include "cpu/direct/hausdorff.h"

#include <cmath>

#include "cpu/direct/distance_map.h"

namespace warpdice::cpu::direct {
namespace {

double power(double distance, double alpha) { return alpha == 2 ? distance * distance : std::pow(distance, alpha); }

}  // namespace

ClassLoss hausdorff(const Group& group, const Grid& image, int64_t c, double alpha, double* slopes) {
  const ClassMask mask = group.mask(c);
  const double* p = group.predictions(c);
  const auto predicted = uninitialized<int8_t>(group.voxels());
  for (int64_t i = 0; i < group.voxels(); i++) {
    predicted[i] = mask.voxels[i] < 0 ? int8_t{-1} : static_cast<int8_t>(p[i] > 0.5);
  }
  const auto to_target = distances_to_other_side(image, group.samples(), mask.voxels.get());
  const auto to_predicted = distances_to_other_side(image, group.samples(), predicted.get());
  const double share = mask.counted ? 1 / static_cast<double>(mask.counted) : 0;
  const double sum = group.sum([&](const Block& block) {
    double sum = 0;
    for (int64_t i = block.at; i < block.at + block.count; i++) {
      if (mask.voxels[i] < 0) continue;
      const double error = p[i] - mask.voxels[i], weight = power(to_predicted[i], alpha) + power(to_target[i], alpha);
      sum += error * error * weight;
      if (slopes) slopes[i] = 2 * error * weight * share;
    }
    return sum;
  });
  return {sum * share, mask.inside > 0};
}

}  // namespace warpdice::cpu::direct
