#include "cpu/direct/boundary.h"

#include "cpu/direct/distance_map.h"

namespace warpdice::cpu::direct {

ClassLoss boundary(const Group& group, const Grid& image, int64_t c, double* slopes) {
  const ClassMask mask = group.mask(c);
  const auto distance = distances_to_other_side(image, group.samples(), mask.voxels.get());
  const double* p = group.predictions(c);
  const double share = mask.counted ? 1 / static_cast<double>(mask.counted) : 0;
  const double sum = group.sum([&](const Block& block) {
    double sum = 0;
    for (int64_t i = block.at; i < block.at + block.count; i++) {
      if (mask.voxels[i] < 0) continue;
      const double phi = mask.voxels[i] && distance[i] > 0 ? 1 - distance[i] : distance[i];
      sum += p[i] * phi;
      if (slopes) slopes[i] = phi * share;
    }
    return sum;
  });
  return {sum * share, mask.inside > 0};
}

}  // namespace warpdice::cpu::direct
