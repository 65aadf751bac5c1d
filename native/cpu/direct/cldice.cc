#include "cpu/direct/cldice.h"

#include "cpu/direct/skeleton.h"

namespace warpdice::cpu::direct {
namespace {

struct Sums {
  double predicted = 0, target = 0, overlap = 0;                  // of p, t and p*t
  double skeleton = 0, skeleton_in_target = 0;                    // of s_p and s_p*t
  double target_skeleton = 0, target_skeleton_in_prediction = 0;  // of s_t and s_t*p

  Sums& operator+=(const Sums& other) {
    predicted += other.predicted;
    target += other.target;
    overlap += other.overlap;
    skeleton += other.skeleton;
    skeleton_in_target += other.skeleton_in_target;
    target_skeleton += other.target_skeleton;
    target_skeleton_in_prediction += other.target_skeleton_in_prediction;
    return *this;
  }
};

/// A ratio of two sums, and what a numerator and a denominator that grow by 1 add to it.
struct Ratio {
  double value, per_numerator, per_denominator;

  Ratio(double numerator, double denominator)
      : value(denominator == 0 ? 0 : numerator / denominator),
        per_numerator(denominator == 0 ? 0 : 1 / denominator),
        per_denominator(-value * per_numerator) {}
};

}  // namespace

ClassLoss cldice(const Group& group, const Setup& setup, int64_t c, const LossOptions& options, double* slopes) {
  const Grid& image = setup.image;
  const int64_t voxels = image.voxels();
  const ClassMask mask = group.mask(c);
  const double* p = group.predictions(c);
  const auto* t = reinterpret_cast<const uint8_t*>(mask.voxels.get());
  const auto skeleton = uninitialized<double>(group.voxels());
  const auto target_skeleton = uninitialized<uint8_t>(group.voxels());
  std::vector<Levels> levels(static_cast<size_t>(slopes ? group.samples() : 0));
  for (int64_t n = 0; n < group.samples(); n++) {
    const int64_t first = n * voxels;
    skeletonize(image, p + first, setup.iterations, skeleton.get() + first,
                slopes ? &levels[static_cast<size_t>(n)] : nullptr);
    skeletonize(image, t + first, setup.iterations, target_skeleton.get() + first, nullptr);
  }

  const Sums sums = group.sum([&](const Block& block) {
    Sums own;
    for (int64_t i = block.at; i < block.at + block.count; i++) {
      own += {p[i],
              static_cast<double>(t[i]),
              p[i] * t[i],
              skeleton[i],
              skeleton[i] * t[i],
              static_cast<double>(target_skeleton[i]),
              p[i] * target_skeleton[i]};
    }
    return own;
  });
  const double n = options.smooth_numerator, d = options.smooth_denominator;
  const Ratio precision(sums.skeleton_in_target + n, sums.skeleton + d);
  const Ratio sensitivity(sums.target_skeleton_in_prediction + n, sums.target_skeleton + d);
  const Ratio mean(2 * precision.value * sensitivity.value,
                   precision.value + sensitivity.value + setup.smooth_harmonic);
  const Ratio dice(2 * sums.overlap + n, sums.predicted + sums.target + d);
  const double alpha = options.alpha;
  const ClassLoss result = {(1 - alpha) * (1 - dice.value) + alpha * (1 - mean.value), sums.target > 0};
  if (!slopes) return result;

  // dL of the sums.
  const double per_precision = -alpha * (2 * sensitivity.value * mean.per_numerator + mean.per_denominator);
  const double per_sensitivity = -alpha * (2 * precision.value * mean.per_numerator + mean.per_denominator);
  const double per_overlap = -(1 - alpha) * 2 * dice.per_numerator, per_predicted = -(1 - alpha) * dice.per_denominator;
  const double in_target = per_precision * precision.per_numerator, all = per_precision * precision.per_denominator;
  const double in_prediction = per_sensitivity * sensitivity.per_numerator;
  const auto wrt_skeleton = uninitialized<double>(group.voxels());
  Pool::instance().parallel_for(group.blocks(), 8, [&](int64_t b) {
    const Block block = group.block(b);
    for (int64_t i = block.at; i < block.at + block.count; i++) {
      slopes[i] = per_overlap * t[i] + per_predicted + in_prediction * target_skeleton[i];
      wrt_skeleton[i] = in_target * t[i] + all;
    }
  });
  for (int64_t s = 0; s < group.samples(); s++) {
    const int64_t first = s * voxels;
    add_skeleton_gradient(image, p + first, levels[static_cast<size_t>(s)], wrt_skeleton.get() + first, slopes + first);
  }
  return result;
}

}  // namespace warpdice::cpu::direct
