// The CPU engine without JavaScript, against a plain loop in double: for machines that are reached
// by cross-compiling and an emulator only. The full tests are in the folders of test/.
#include <algorithm>
#include <functional>
#include <thread>

#include "check.h"
#include "cpu/engine.h"

namespace warpdice::test {
namespace {

enum class Target { labels, one_hot, soft, soft_double };

/// Which sums beside those of plain Dice.
enum class More { none, entropy, focal };

struct Case {
  const char* name;
  int64_t N, C, S;
  DType dtype;
  Activation activation;
  bool channels_last;
  Target target;
  bool squared, weighted;
  More more = More::none;
  Overlap overlap = Overlap::product;
  double gamma = 2;
};

/// p, log p and log(1-p) of one voxel.
struct Odds {
  std::vector<double> p, log_p, log_rest;

  Odds(Activation activation, const std::vector<double>& z) : p(z), log_p(z.size()), log_rest(z.size()) {
    const double largest = *std::max_element(z.begin(), z.end());
    double total = 0;
    for (const double x : z) total += std::exp(x - largest);
    for (size_t k = 0; k < z.size(); k++) {
      if (activation == Activation::sigmoid) {
        p[k] = 1 / (1 + std::exp(-z[k]));
        log_p[k] = -std::log1p(std::exp(-z[k]));
        log_rest[k] = -std::log1p(std::exp(z[k]));
      }
      if (activation == Activation::softmax) {
        p[k] = std::exp(z[k] - largest) / total;
        log_p[k] = z[k] - largest - std::log(total);
      }
    }
  }
};

/// What one voxel of weight 1 adds to the sums of each class, as the formulas say.
std::vector<Sums> sums_of_voxel(const Case& c, const std::vector<double>& distances, const std::vector<double>& z,
                                const std::vector<double>& t) {
  const Odds odds(c.activation, z);
  const std::vector<double>& p = odds.p;
  const bool sigmoid = c.activation == Activation::sigmoid;
  std::vector<Sums> sums(z.size(), Sums{});
  for (size_t k = 0; k < z.size(); k++) {
    Sums& s = sums[k];
    if (c.overlap == Overlap::product) s.intersection = p[k] * t[k];
    if (c.overlap == Overlap::minimum) s.intersection = std::min(p[k], t[k]);
    if (c.overlap == Overlap::wasserstein) {
      for (size_t j = 0; j < z.size(); j++) s.intersection += t[k] * distances[k * z.size() + j] * p[j];
    }
    s.prediction = c.squared ? p[k] * p[k] : p[k];
    s.target = c.squared ? t[k] * t[k] : t[k];
    s.volume = t[k];
    s.weight = 1;
    if (c.more == More::none) continue;
    s.cross_entropy = -t[k] * odds.log_p[k] - (sigmoid ? (1 - t[k]) * odds.log_rest[k] : 0);
    s.uniform = sigmoid ? -(odds.log_p[k] + odds.log_rest[k]) / 2 : -odds.log_p[k];
    if (c.more == More::entropy) continue;
    s.focal = -t[k] * std::pow(1 - p[k], c.gamma) * odds.log_p[k];
    if (sigmoid) s.focal -= (1 - t[k]) * std::pow(p[k], c.gamma) * odds.log_rest[k];
  }
  return sums;
}

double dot(const Coefficients& d, const Sums& s) {
  return d.intersection * s.intersection + d.prediction * s.prediction + d.target * s.target + d.volume * s.volume +
         d.cross_entropy * s.cross_entropy + d.uniform * s.uniform + d.focal * s.focal;
}

/// df/dx by differences of the fourth order.
double slope_of(const std::function<double()>& f, double& x) {
  const double at = x, h = 1e-3;
  const auto value = [&](double offset) {
    x = at + offset;
    const double result = f();
    x = at;
    return result;
  };
  return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h);
}

/// A case with its numbers and what is right.
struct Problem {
  Case c;
  Inputs in;
  Buffer predictions, target;
  std::vector<float> weight;
  std::vector<double> distances;
  std::vector<Coefficients> d;
  std::vector<Sums> sums;
  std::vector<double> grad, target_grad;

  explicit Problem(const Case& from);

  bool dense() const { return c.target != Target::labels; }
  bool soft() const { return c.target == Target::soft || c.target == Target::soft_double; }
  int64_t at(int64_t n, int64_t k, int64_t s) const {
    return c.channels_last ? (n * c.S + s) * c.C + k : (n * c.C + k) * c.S + s;
  }
};

DType target_dtype(const Case& c) {
  if (c.target == Target::soft) return c.dtype;
  return c.target == Target::soft_double ? DType::float64 : DType::uint8;
}

Problem::Problem(const Case& from)
    : c(from), predictions(c.dtype, c.N * c.C * c.S), target(target_dtype(c), c.N * c.C * c.S) {
  Random random;
  for (int64_t i = 0; i < c.N * c.C * c.S; i++) {
    const double u = random.next();
    predictions.set(i, c.activation == Activation::none ? u : 8 * u - 4);
  }
  for (int64_t i = 0; i < c.C * c.C; i++) distances.push_back(random.next());
  for (int64_t i = 0; i < c.N * c.C; i++) {
    Coefficients one = {random.next() - 1, random.next(), random.next(), random.next(), 0, 0, 0};
    if (c.more != More::none) one.cross_entropy = random.next(), one.uniform = random.next();
    if (c.more == More::focal) one.focal = random.next();
    d.push_back(one);
  }
  sums.assign(static_cast<size_t>(c.N * c.C), Sums{});
  grad.resize(static_cast<size_t>(c.N * c.C * c.S));
  target_grad.resize(grad.size());
  std::vector<double> z(static_cast<size_t>(c.C)), t(z.size());
  for (int64_t n = 0; n < c.N; n++) {
    const Coefficients* of_sample = d.data() + n * c.C;
    const auto loss = [&] {
      const std::vector<Sums> made = sums_of_voxel(c, distances, z, t);
      double total = 0;
      for (size_t k = 0; k < z.size(); k++) total += dot(of_sample[k], made[k]);
      return total;
    };
    for (int64_t s = 0; s < c.S; s++) {
      weight.push_back(c.weighted ? static_cast<float>(random.next()) : 1.f);
      const int label = static_cast<int>(random.next() * static_cast<double>(c.C == 1 ? 2 : c.C));
      if (!dense()) target.set(n * c.S + s, label);
      for (int64_t k = 0; k < c.C; k++) {
        const double one_hot = label == k + (c.C == 1 ? 1 : 0);
        if (dense()) target.set(at(n, k, s), soft() ? random.next() : one_hot);
        z[static_cast<size_t>(k)] = predictions.get(at(n, k, s));
      }
      const Odds odds(c.activation, z);
      for (int64_t k = 0; k < c.C; k++) {
        const auto i = static_cast<size_t>(k);
        // The minimum has a kink at a tie; differences must not reach over it.
        if (soft() && std::fabs(odds.p[i] - target.get(at(n, k, s))) < 0.01) target.set(at(n, k, s), odds.p[i] + 0.02);
        t[i] = dense() ? target.get(at(n, k, s)) : label == k + (c.C == 1 ? 1 : 0);
      }
      const std::vector<Sums> made = sums_of_voxel(c, distances, z, t);
      const double w = weight.back();
      for (int64_t k = 0; k < c.C; k++) {
        const auto i = static_cast<size_t>(k);
        double* to = reinterpret_cast<double*>(&sums[static_cast<size_t>(n * c.C + k)]);
        for (int sum = 0; sum < kSumCount; sum++) to[sum] += w * reinterpret_cast<const double*>(&made[i])[sum];
        grad[static_cast<size_t>(at(n, k, s))] = w * slope_of(loss, z[i]);
        if (soft()) target_grad[static_cast<size_t>(at(n, k, s))] = w * slope_of(loss, t[i]);
      }
    }
  }
  in.samples = c.N;
  in.classes = c.C;
  in.voxels = c.S;
  in.channels_last = c.channels_last;
  in.squared = c.squared;
  in.labels = !dense();
  in.activation = c.activation;
  in.overlap = c.overlap;
  in.cross_entropy = in.uniform = c.more != More::none;
  in.focal = c.more == More::focal;
  in.focal_gamma = c.gamma;
  in.distances = distances.data();
  in.predictions = predictions.operand();
  in.target = target.operand();
  if (c.weighted) in.weight = {weight.data(), DType::float32};
}

double tolerance_of(DType dtype) {
  if (dtype == DType::float64) return 1e-9;  // what the differences are good for
  return dtype == DType::float32 ? 3e-6 : dtype == DType::float16 ? 4e-3 : 2e-2;
}

void compare(const Problem& problem) {
  const Case& c = problem.c;
  const Inputs& in = problem.in;
  Buffer grad(c.dtype, c.N * c.C * c.S), target_grad(problem.target.dtype, c.N * c.C * c.S),
      first_grad = grad, first_target_grad = target_grad;
  std::vector<Sums> sums(static_cast<size_t>(c.N * c.C)), first;
  for (const int threads : {1, 2, 7}) {
    cpu::set_threads(threads);
    std::vector<int64_t> counts(static_cast<size_t>(c.N * (c.C + 1)), -1);
    const LabelFault fault = problem.soft() ? LabelFault{} : cpu::check_target(in, in.labels ? counts.data() : nullptr);
    for (int64_t n = 0; n < c.N && in.labels; n++) {
      int64_t voxels = 0;
      for (int64_t k = 0; k < c.C; k++) voxels += counts[static_cast<size_t>(n * (c.C + 1) + k)];
      for (int64_t s = 0; s < c.S; s++) voxels -= c.C > 1 || problem.target.get(n * c.S + s) == 1;
      expect_close(c.name, static_cast<double>(voxels), 0, 0);
      expect_close(c.name, static_cast<double>(counts[static_cast<size_t>(n * (c.C + 1) + c.C)]), 0, 0);
    }
    cpu::statistics(in, sums.data());
    expect_close(c.name, static_cast<double>(fault.count), 0, 0);
    cpu::gradient(in, problem.d.data(), false, {grad.bytes.data(), c.dtype, false});
    if (problem.soft()) {
      cpu::target_gradient(in, problem.d.data(), false, {target_grad.bytes.data(), target_grad.dtype, false});
    }
    if (threads == 1) {
      first = sums;
      first_grad = grad;
      first_target_grad = target_grad;
    }
    const bool same = std::memcmp(first.data(), sums.data(), sums.size() * sizeof(Sums)) == 0 &&
                      first_grad.bytes == grad.bytes && first_target_grad.bytes == target_grad.bytes;
    expect_close(c.name, same, 1, 0);
  }

  const bool exact = c.dtype == DType::float64;
  for (size_t i = 0; i < sums.size(); i++) {
    for (int sum = 0; sum < kSumCount; sum++) {
      const double wanted = reinterpret_cast<const double*>(&problem.sums[i])[sum];
      const double tolerance = (exact ? 1e-13 : 2e-6) * static_cast<double>(c.S);
      expect_close(c.name, reinterpret_cast<const double*>(&sums[i])[sum], wanted, tolerance);
    }
  }
  for (int64_t i = 0; i < c.N * c.C * c.S; i++) {
    expect_close(c.name, grad.get(i), problem.grad[static_cast<size_t>(i)], tolerance_of(c.dtype));
    if (!problem.soft()) continue;
    const double tolerance = std::max(tolerance_of(c.dtype), tolerance_of(target_grad.dtype));
    expect_close(c.name, target_grad.get(i), problem.target_grad[static_cast<size_t>(i)], tolerance);
  }
}

}  // namespace

size_t test_engine() {
  using A = Activation;
  using T = Target;
  using O = Overlap;
  const DType f32 = DType::float32, f64 = DType::float64, f16 = DType::float16, bf16 = DType::bfloat16;
  const More E = More::entropy, F = More::focal, no = More::none;
  const Case cases[] = {
      // name, N, C, S, dtype, activation, channels last, target, squared, weighted
      {"binary probabilities", 1, 1, 5, f32, A::none, false, T::one_hot, true, false},
      {"sigmoid mask", 2, 1, 20000, f32, A::sigmoid, false, T::labels, true, false},
      {"softmax labels", 2, 3, 20011, f32, A::softmax, false, T::labels, true, false},
      {"softmax labels, linear, weighted", 2, 4, 777, f32, A::softmax, false, T::labels, false, true},
      {"softmax, channels last", 2, 4, 1031, f32, A::softmax, true, T::labels, true, true},
      {"softmax, dense target", 1, 5, 513, f32, A::softmax, false, T::one_hot, true, true},
      {"softmax, 19 classes", 1, 19, 4099, f32, A::softmax, false, T::labels, true, false},
      {"probabilities, dense", 2, 3, 333, f64, A::none, false, T::soft, true, false},
      {"softmax, float64", 1, 3, 1001, f64, A::softmax, false, T::labels, true, true},
      {"sigmoid, float64, channels last", 1, 2, 999, f64, A::sigmoid, true, T::one_hot, false, false},
      {"softmax, bfloat16", 1, 3, 1001, bf16, A::softmax, false, T::labels, true, false},
      {"softmax, float16", 1, 3, 1001, f16, A::softmax, false, T::labels, true, false},
      {"sigmoid, float16, channels last", 1, 2, 70, f16, A::sigmoid, true, T::labels, true, true},
      {"softmax and entropy, labels", 2, 3, 20011, f32, A::softmax, false, T::labels, true, false, E},
      {"softmax and entropy, dense, weighted", 2, 4, 777, f32, A::softmax, false, T::soft, true, true, E},
      {"softmax and entropy, channels last", 1, 19, 1031, f32, A::softmax, true, T::labels, false, true, E},
      {"softmax and entropy, float64", 1, 3, 1001, f64, A::softmax, false, T::labels, true, false, E},
      {"softmax and entropy, float16", 1, 3, 33, f16, A::softmax, false, T::soft_double, true, false, E},
      {"sigmoid and entropy, mask", 2, 1, 20000, f32, A::sigmoid, false, T::labels, true, false, E},
      {"sigmoid and entropy, dense, weighted", 1, 3, 31, f32, A::sigmoid, true, T::soft, true, true, E},
      {"sigmoid and entropy, float64", 2, 2, 1, f64, A::sigmoid, false, T::soft, false, false, E},
      {"softmax focal, labels", 2, 3, 20011, f32, A::softmax, false, T::labels, true, false, F},
      {"softmax focal, dense, weighted", 2, 4, 777, f32, A::softmax, true, T::soft, false, true, F, O::product, 0.5},
      {"softmax focal, float64", 1, 5, 257, f64, A::softmax, false, T::soft, true, false, F, O::product, 1.7},
      {"softmax focal, gamma 0", 1, 19, 333, f64, A::softmax, false, T::labels, true, true, F, O::product, 0},
      {"softmax focal, bfloat16", 1, 3, 31, bf16, A::softmax, false, T::soft_double, true, false, F},
      {"sigmoid focal, mask", 2, 1, 20000, f32, A::sigmoid, false, T::labels, true, false, F},
      {"sigmoid focal, weighted", 1, 3, 129, f32, A::sigmoid, true, T::soft, true, true, F, O::product, 0.25},
      {"sigmoid focal, float64", 2, 2, 65, f64, A::sigmoid, false, T::soft, false, false, F, O::minimum, 3},
      {"minimum, labels", 2, 3, 1031, f32, A::softmax, false, T::labels, false, false, no, O::minimum},
      {"minimum, probabilities", 1, 2, 333, f64, A::none, true, T::soft, false, true, no, O::minimum},
      {"minimum, soft, float32 beside float64", 1, 3, 40, f32, A::softmax, false, T::soft_double, true, false, E,
       O::minimum},
      {"Wasserstein, labels", 2, 4, 1031, f32, A::softmax, false, T::labels, false, true, no, O::wasserstein},
      {"Wasserstein, soft", 1, 19, 67, f64, A::softmax, true, T::soft, true, false, E, O::wasserstein},
      {"Wasserstein, probabilities", 1, 3, 1, f32, A::none, false, T::soft, true, false, no, O::wasserstein},
  };
  const std::vector<Problem> problems(std::begin(cases), std::end(cases));
  // Three callers at once: they share the pool, and each changes its number of threads.
  const auto run_all = [&] {
    for (const Problem& problem : problems) compare(problem);
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; i++) callers.emplace_back(run_all);
  for (std::thread& caller : callers) caller.join();
  return problems.size();
}

}  // namespace warpdice::test
