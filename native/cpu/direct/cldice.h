#pragma once
#include "cpu/direct/group.h"
#include "cpu/direct/run.h"

namespace warpdice::cpu::direct {

/// The soft centreline Dice loss of class c, and Dice beside it: (1 - alpha) * Dice + alpha * clDice (Shit et al., CVPR
/// 2021). With the soft skeletons s_p, s_t of prediction and target, and the smoothings n, d, h:
///   precision = (sum s_p*t + n) / (sum s_p + d)      sensitivity = (sum s_t*p + n) / (sum s_t + d)
///   clDice = 1 - 2 * precision * sensitivity / (precision + sensitivity + h)
///   Dice = 1 - (2 * sum p*t + n) / (sum p + sum t + d)
/// A ratio whose denominator is 0 is 0. slopes: null, or written.
ClassLoss cldice(const Group& group, const Setup& setup, int64_t c, const LossOptions& options, double* slopes);

}  // namespace warpdice::cpu::direct
