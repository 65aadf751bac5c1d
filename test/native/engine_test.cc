// The CPU engine without JavaScript, against a plain loop in double: for machines that are reached
// by cross-compiling and an emulator only. The full tests are in test/*.test.ts.
// Prints one line per failure and exits with 1 if there is any.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "dice.h"

namespace {

using namespace warpdice;

std::atomic<int> failures{0}, checks{0};

void expect_close(const char* what, double actual, double expected, double tolerance) {
  checks++;
  // Written so that NaN fails.
  if (std::fabs(actual - expected) <= tolerance) return;
  failures++;
  std::printf("%s: expected %.9g but received %.9g (tolerance %.1g)\n", what, expected, actual, tolerance);
}

/// A small generator of our own: the same numbers everywhere.
struct Random {
  uint32_t state = 1;
  double next() {  // in [0, 1)
    state = state * 1664525u + 1013904223u;
    return (state >> 8) / 16777216.0;
  }
};

uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

double from_bfloat16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// float16 from the finite values used here, and back; subnormals are not needed.
uint16_t to_float16(float value) {
  if (value == 0) return 0;
  int exponent;
  const double mantissa = std::frexp(std::fabs(value), &exponent);  // in [0.5, 1)
  const int rounded = static_cast<int>(std::lrint((mantissa * 2 - 1) * 1024));
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) + ((exponent + 14) << 10) + rounded);
}

double from_float16(uint16_t value) {
  if ((value & 0x7c00) == 0) return 0;  // zero; the test compares gradients with a tolerance above
  const double magnitude = std::ldexp(1024 + (value & 0x3ff), ((value >> 10) & 0x1f) - 25);
  return value & 0x8000 ? -magnitude : magnitude;
}

struct Case {
  const char* name;
  int64_t N, C, S;
  DType dtype;
  Activation activation;
  bool channels_last, labels, squared, weighted;
  bool entropy = false;  // with E and U
};

double at(const std::vector<uint8_t>& bytes, DType dtype, int64_t i) {
  if (dtype == DType::float32) return reinterpret_cast<const float*>(bytes.data())[i];
  if (dtype == DType::float64) return reinterpret_cast<const double*>(bytes.data())[i];
  const uint16_t half = reinterpret_cast<const uint16_t*>(bytes.data())[i];
  return dtype == DType::float16 ? from_float16(half) : from_bfloat16(half);
}

void set(std::vector<uint8_t>& bytes, DType dtype, int64_t i, double value) {
  const float single = static_cast<float>(value);
  if (dtype == DType::float32) reinterpret_cast<float*>(bytes.data())[i] = single;
  if (dtype == DType::float64) reinterpret_cast<double*>(bytes.data())[i] = value;
  if (dtype == DType::float16) reinterpret_cast<uint16_t*>(bytes.data())[i] = to_float16(single);
  if (dtype == DType::bfloat16) reinterpret_cast<uint16_t*>(bytes.data())[i] = to_bfloat16(single);
}

/// The reference: p = activation(z), the sums, and the chain rule, as the formulas say.
struct Reference {
  std::vector<Sums> sums;
  std::vector<double> grad;
};

Reference reference(const Case& c, const std::vector<double>& z, const std::vector<double>& t,
                    const std::vector<double>& w, const std::vector<Coefficients>& d) {
  Reference r{std::vector<Sums>(c.N * c.C, Sums{}), std::vector<double>(z.size())};
  const auto at = [&](int64_t n, int64_t k, int64_t s) {
    return c.channels_last ? (n * c.S + s) * c.C + k : (n * c.C + k) * c.S + s;
  };
  for (int64_t n = 0; n < c.N; n++) {
    for (int64_t s = 0; s < c.S; s++) {
      std::vector<double> p(c.C), dp(c.C);
      double largest = -INFINITY, total = 0, mean = 0, entropy_total = 0;
      for (int64_t k = 0; k < c.C; k++) largest = std::max(largest, z[at(n, k, s)]);
      for (int64_t k = 0; k < c.C; k++) total += std::exp(z[at(n, k, s)] - largest);
      for (int64_t k = 0; k < c.C; k++) {
        const double x = z[at(n, k, s)];
        p[k] = c.activation == Activation::none      ? x
               : c.activation == Activation::sigmoid ? 1 / (1 + std::exp(-x))
                                                     : std::exp(x - largest) / total;
        const double target = t[at(n, k, s)], weight = w[n * c.S + s];
        Sums& sums = r.sums[n * c.C + k];
        sums.intersection += weight * p[k] * target;
        sums.prediction += weight * (c.squared ? p[k] * p[k] : p[k]);
        sums.target += weight * (c.squared ? target * target : target);
        sums.volume += weight * target;
        sums.weight += weight;
        const bool softmax = c.activation == Activation::softmax;
        if (c.entropy) {
          const double log_p = softmax ? x - largest - std::log(total) : -std::log1p(std::exp(-x));
          const double log_other = softmax ? 0 : -std::log1p(std::exp(x));
          sums.cross_entropy -= weight * (target * log_p + (softmax ? 0 : (1 - target) * log_other));
          sums.uniform -= weight * (softmax ? log_p : (log_p + log_other) / 2);
        }
        const Coefficients& dk = d[n * c.C + k];
        entropy_total += weight * (dk.cross_entropy * target + dk.uniform);
        dp[k] = weight * (dk.intersection * target + dk.prediction * (c.squared ? 2 * p[k] : 1));
        mean += p[k] * dp[k];
      }
      for (int64_t k = 0; k < c.C; k++) {
        r.grad[at(n, k, s)] = c.activation == Activation::none      ? dp[k]
                              : c.activation == Activation::sigmoid ? dp[k] * p[k] * (1 - p[k])
                                                                    : p[k] * (dp[k] - mean);
        if (!c.entropy) continue;
        const Coefficients& dk = d[n * c.C + k];
        const double weight = w[n * c.S + s], target = t[at(n, k, s)];
        r.grad[at(n, k, s)] += c.activation == Activation::softmax
                                   ? p[k] * entropy_total - weight * (dk.cross_entropy * target + dk.uniform)
                                   : weight * (dk.cross_entropy * (p[k] - target) + dk.uniform * (p[k] - 0.5));
      }
    }
  }
  return r;
}

void run(const Case& c) {
  Random random;
  const int64_t size = c.N * c.C * c.S;
  std::vector<uint8_t> predictions(size * size_of(c.dtype)), grad(predictions.size());
  std::vector<uint8_t> labels(c.N * c.S), dense(size);
  std::vector<float> weight(c.N * c.S);
  std::vector<double> z(size), t(size), w(c.N * c.S);
  std::vector<Coefficients> d(c.N * c.C);
  for (int64_t i = 0; i < size; i++) {
    const double u = random.next();
    set(predictions, c.dtype, i, c.activation == Activation::none ? u : 8 * u - 4);
    z[i] = at(predictions, c.dtype, i);
  }
  for (int64_t n = 0; n < c.N; n++) {
    for (int64_t s = 0; s < c.S; s++) {
      const int64_t v = n * c.S + s;
      weight[v] = c.weighted ? static_cast<float>(random.next()) : 1.f;
      w[v] = weight[v];
      labels[v] = static_cast<uint8_t>(random.next() * (c.C == 1 ? 2 : c.C));
      for (int64_t k = 0; k < c.C; k++) {
        const int64_t i = c.channels_last ? v * c.C + k : (n * c.C + k) * c.S + s;
        dense[i] = labels[v] == k + (c.C == 1 ? 1 : 0);
        t[i] = dense[i];
      }
    }
  }
  for (Coefficients& dk : d) {
    dk.intersection = random.next() - 1;
    dk.prediction = random.next();
    dk.target = random.next();
    if (c.entropy) {
      dk.cross_entropy = random.next();
      dk.uniform = random.next();
    }
  }
  const Reference expected = reference(c, z, t, w, d);

  Inputs in;
  in.samples = c.N;
  in.classes = c.C;
  in.voxels = c.S;
  in.channels_last = c.channels_last;
  in.squared = c.squared;
  in.labels = c.labels;
  in.activation = c.activation;
  in.cross_entropy = in.uniform = c.entropy;
  in.predictions = {predictions.data(), c.dtype};
  in.target = {c.labels ? labels.data() : dense.data(), DType::uint8};
  if (c.weighted) in.weight = {weight.data(), DType::float32};

  std::vector<Sums> sums(c.N * c.C), first;
  std::vector<uint8_t> first_grad;
  for (const int threads : {1, 2, 7}) {
    cpu::set_threads(threads);
    const LabelFault fault = cpu::check_target(in);
    cpu::statistics(in, sums.data());
    expect_close(c.name, static_cast<double>(fault.count), 0, 0);
    cpu::gradient(in, d.data(), false, {grad.data(), c.dtype, false});
    if (threads == 1) {
      first = sums;
      first_grad = grad;
    }
    const bool same = std::memcmp(first.data(), sums.data(), sums.size() * sizeof(Sums)) == 0 && first_grad == grad;
    expect_close(c.name, same, 1, 0);
  }

  const bool exact = c.dtype == DType::float64;
  const double sum_tolerance = (exact ? 1e-13 : 2e-6) * static_cast<double>(c.S);
  for (size_t i = 0; i < sums.size(); i++) {
    expect_close(c.name, sums[i].intersection, expected.sums[i].intersection, sum_tolerance);
    expect_close(c.name, sums[i].prediction, expected.sums[i].prediction, sum_tolerance);
    expect_close(c.name, sums[i].target, expected.sums[i].target, sum_tolerance);
    expect_close(c.name, sums[i].volume, expected.sums[i].volume, sum_tolerance);
    expect_close(c.name, sums[i].weight, expected.sums[i].weight, sum_tolerance);
    expect_close(c.name, sums[i].cross_entropy, expected.sums[i].cross_entropy, sum_tolerance);
    expect_close(c.name, sums[i].uniform, expected.sums[i].uniform, sum_tolerance);
  }
  const double tolerance = exact ? 1e-12 : c.dtype == DType::float32 ? 2e-6 : c.dtype == DType::float16 ? 2e-3 : 1e-2;
  for (int64_t i = 0; i < size; i++) {
    expect_close(c.name, at(grad, c.dtype, i), expected.grad[i], tolerance);
  }
}

}  // namespace

int main() {
  using A = Activation;
  const DType f32 = DType::float32, f64 = DType::float64;
  const Case cases[] = {
      // name, N, C, S, dtype, activation, channels last, labels, squared, weighted
      {"binary probabilities", 1, 1, 5, f32, A::none, false, false, true, false},
      {"sigmoid mask", 2, 1, 20000, f32, A::sigmoid, false, true, true, false},
      {"softmax labels", 2, 3, 20011, f32, A::softmax, false, true, true, false},
      {"softmax labels, linear, weighted", 2, 4, 777, f32, A::softmax, false, true, false, true},
      {"softmax, channels last", 2, 4, 1031, f32, A::softmax, true, true, true, true},
      {"softmax, dense target", 1, 5, 513, f32, A::softmax, false, false, true, true},
      {"softmax, 19 classes", 1, 19, 4099, f32, A::softmax, false, true, true, false},
      {"probabilities, dense", 2, 3, 333, f64, A::none, false, false, true, false},
      {"softmax, float64", 1, 3, 1001, f64, A::softmax, false, true, true, true},
      {"sigmoid, float64, channels last", 1, 2, 999, f64, A::sigmoid, true, false, false, false},
      {"softmax, bfloat16", 1, 3, 1001, DType::bfloat16, A::softmax, false, true, true, false},
      {"softmax, float16", 1, 3, 1001, DType::float16, A::softmax, false, true, true, false},
      {"sigmoid, float16, channels last", 1, 2, 70, DType::float16, A::sigmoid, true, true, true, true},
      {"softmax and entropy, labels", 2, 3, 20011, f32, A::softmax, false, true, true, false, true},
      {"softmax and entropy, dense, weighted", 2, 4, 777, f32, A::softmax, false, false, true, true, true},
      {"softmax and entropy, channels last", 1, 19, 1031, f32, A::softmax, true, true, false, true, true},
      {"softmax and entropy, float64", 1, 3, 1001, f64, A::softmax, false, true, true, false, true},
      {"softmax and entropy, float16", 1, 3, 33, DType::float16, A::softmax, false, false, true, false, true},
      {"sigmoid and entropy, mask", 2, 1, 20000, f32, A::sigmoid, false, true, true, false, true},
      {"sigmoid and entropy, dense, weighted", 1, 3, 31, f32, A::sigmoid, true, false, true, true, true},
      {"sigmoid and entropy, float64", 2, 2, 1, f64, A::sigmoid, false, false, false, false, true},
  };
  // Three callers at once: they share the pool, and each changes its number of threads.
  const auto run_all = [&] {
    for (const Case& c : cases) run(c);
  };
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; i++) callers.emplace_back(run_all);
  for (std::thread& caller : callers) caller.join();
  std::printf("%s: %d checks in %zu cases, %d failed\n", cpu::simd_target(), checks.load(),
              sizeof(cases) / sizeof(cases[0]), failures.load());
  return failures == 0 ? 0 : 1;
}
