// Step 2: each coefficient against differences of the value, for every kind of loss, transform, rule for absent
// classes, reduction and weighting; and that nothing is infinite or NaN where a class is matched perfectly or absent.
#include <string>

#include "check.h"

namespace warpdice::test {
namespace {

constexpr int64_t kGroups = 2, kClasses = 3;

std::string name_of(const LossOptions& o) {
  const auto number = [](auto code) { return std::to_string(static_cast<int>(code)); };
  return "kind " + number(o.kind) + ", transform " + number(o.transform) + ", absent " + number(o.absent) +
         ", reduction " + number(o.reduction) + ", weighting " + number(o.weighting) + (o.sigmoid ? ", sigmoid" : "") +
         (o.background ? "" : ", no background") + (o.compound() ? ", compound" : "");
}

/// Sums that voxels could have; class 2 of group 1 has none.
std::vector<Sums> some_sums() {
  Random random;
  std::vector<Sums> sums;
  for (int64_t i = 0; i < kGroups * kClasses; i++) {
    const bool absent = i == kGroups * kClasses - 1;
    const double V = absent ? 0 : 2 + 8 * random.next(), P = 1 + 9 * random.next();
    sums.push_back({0.6 * std::fmin(V, P), P, V, V, 20, 3 * random.next(), 5 * random.next(), random.next()});
  }
  return sums;
}

/// sum_i upstream_i * value_i
double objective(const LossOptions& options, const std::vector<Sums>& sums, const std::vector<double>& upstream) {
  std::vector<double> value(static_cast<size_t>(options.value_count(kGroups, kClasses)));
  finalize_value(options, kGroups, kClasses, sums.data(), value.data(), nullptr, nullptr);
  double total = 0;
  for (size_t i = 0; i < value.size(); i++) total += upstream[i] * value[i];
  return total;
}

std::vector<Coefficients> coefficients_of(const LossOptions& options, const std::vector<Sums>& sums,
                                          const std::vector<double>& upstream) {
  std::vector<Coefficients> d(sums.size());
  const GroupTotals total = totals_of_all(options, kGroups, kClasses, sums.data());
  finalize_coefficients(options, kClasses, sums.data(), total, 1,
                        options.reduction == Reduction::none ? upstream.data() : nullptr, d.data(), 0, kGroups);
  return d;
}

void compare_with_differences(const LossOptions& options) {
  struct Slot {
    double Sums::*sum;
    double Coefficients::*coefficient;
  };
  constexpr Slot kSlots[] = {{&Sums::intersection, &Coefficients::intersection},
                             {&Sums::prediction, &Coefficients::prediction},
                             {&Sums::target, &Coefficients::target},
                             {&Sums::volume, &Coefficients::volume},
                             {&Sums::cross_entropy, &Coefficients::cross_entropy},
                             {&Sums::uniform, &Coefficients::uniform},
                             {&Sums::focal, &Coefficients::focal}};
  const std::string name = name_of(options);
  std::vector<Sums> sums = some_sums();
  std::vector<double> upstream = {0.7, -1.1, 0.3, 1.9, -0.6, 1.3};
  if (options.reduction != Reduction::none) upstream = {1};
  const std::vector<Coefficients> d = coefficients_of(options, sums, upstream);
  for (size_t i = 0; i < sums.size(); i++) {
    for (const Slot& slot : kSlots) {
      // With more than no voxel an absent class is another one.
      if (slot.sum == &Sums::volume && sums[i].volume == 0) continue;
      // A correlation takes a sum below 0 for 0: there are no differences.
      if (slot.sum == &Sums::target && sums[i].target == 0 && options.kind >= LossKind::matthews) continue;
      double& x = sums[i].*slot.sum;
      const double at = x, h = 1e-4;
      const auto value = [&](double offset) {
        x = at + offset;
        const double result = objective(options, sums, upstream);
        x = at;
        return result;
      };
      const double slope = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h);
      expect_close(name.c_str(), d[i].*slot.coefficient, slope, 1e-9 * std::fmax(1, std::fabs(slope)));
    }
  }
}

/// Sums of perfect matches, of misses, and of nothing at all.
void expect_finite(LossOptions options) {
  options.smooth_numerator = options.smooth_denominator = 0;
  const std::string name = "finite: " + name_of(options) + ", gamma " + std::to_string(options.gamma);
  for (const double match : {0.0, 1.0}) {
    for (const double absent_prediction : {0.0, 1e-300, 5.0}) {
      std::vector<Sums> sums;
      for (int64_t i = 0; i < kGroups * kClasses; i++) {
        if (i % kClasses == 1) sums.push_back({0, absent_prediction, 0, 0, 20, 0, 0, 0});
        else sums.push_back({match * 4, 4, 4, 4, 20, 1, 1, 1});
      }
      const std::vector<double> upstream(sums.size(), 1.0);
      expect_close(name.c_str(), objective(options, sums, upstream) - objective(options, sums, upstream), 0, 0);
      for (const Coefficients& one : coefficients_of(options, sums, upstream)) {
        const double total = one.intersection + one.prediction + one.target + one.volume;
        expect_close(name.c_str(), total - total, 0, 0);
      }
    }
  }
}

template <class Visit>
void for_all_options(Visit visit) {
  static const double weights[kClasses] = {1, 0.5, 2};
  static const double distances[kClasses * kClasses] = {0, 1, 0.8, 1, 0, 0.4, 0.8, 0.4, 0};
  for (int kind = 0; kind <= static_cast<int>(LossKind::multiclass_matthews); kind++) {
    for (int transform = 0; transform <= static_cast<int>(Transform::log_cosh); transform++) {
      for (int absent = 0; absent <= static_cast<int>(Absent::worst); absent++) {
        for (int reduction = 0; reduction <= static_cast<int>(Reduction::sum); reduction++) {
          for (int weighting = 0; weighting <= static_cast<int>(Weighting::uniform); weighting++) {
            if (weighting > 0 && kind != static_cast<int>(LossKind::generalized)) continue;
            for (int flags = 0; flags < 10; flags++) {
              LossOptions options;
              if (flags > 7 && kind == static_cast<int>(LossKind::tversky)) {
                options.unified = flags == 8 ? Unified::symmetric : Unified::asymmetric;
                options.delta = 0.7;
              }
              options.kind = static_cast<LossKind>(kind);
              options.transform = static_cast<Transform>(transform);
              options.absent = static_cast<Absent>(absent);
              options.reduction = static_cast<Reduction>(reduction);
              options.weighting = static_cast<Weighting>(weighting);
              options.background = flags & 1;
              options.sigmoid = flags & 2;
              options.smooth_numerator = options.smooth_denominator = 0.1;
              options.alpha = 0.3;
              options.beta = 0.6;
              options.gamma = 1.4;
              options.distances = distances;
              options.class_weights = flags & 1 ? weights : nullptr;
              options.label_smoothing = 0.2;
              if (flags & 12) options.cross_entropy_factor = 0.7, options.focal_factor = 1.2;
              visit(options);
            }
          }
        }
      }
    }
  }
}

}  // namespace

void test_finalize() {
  for_all_options([](const LossOptions& options) { compare_with_differences(options); });
  for_all_options([](LossOptions options) {
    for (const double gamma : {0.5, 1.0, 2.0}) {
      options.gamma = gamma;
      expect_finite(options);
    }
  });
}

}  // namespace warpdice::test
