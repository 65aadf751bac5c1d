// Compares in the emulator what a head predicts with the logits in double: the classes of the largest ones,
// probabilities, and hard metrics. Features and weights are small fractions of powers of two, so that sums are exact
// and equal logits are equal. For the arguments see kernels_test.cc.
//
//   predict_test [order] [every] [text]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "buffer.h"
#include "cuda/kernels/count.h"
#include "cuda/kernels/predict.h"
#include "simt.h"

namespace {

using namespace warpdice;

int failures = 0;
std::string test_name;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  if (failures > 20) return;
  std::printf("FAILED %s: %s %s\n", test_name.c_str(), what.c_str(), simt::last_fault().c_str());
  std::fflush(stdout);  // shown even if the next case never ends
}

struct PredictCase {
  DType dtype;
  bool last;
  int64_t N, C, S, K;
  unsigned number;  // chooses the other options

  int64_t at(int64_t n, int64_t channel, int64_t s, int64_t channels) const {
    return last ? (n * S + s) * channels + channel : (n * channels + channel) * S + s;
  }
};

struct Arrays {
  const PredictCase x;
  Buffer features, weight, bias;
  bool has_bias;
  std::vector<double> z;  // [N,S,C]

  explicit Arrays(const PredictCase& of)
      : x(of),
        features(of.dtype, static_cast<size_t>(of.N * of.K * of.S), of.number % 3 == 1),
        weight(of.number % 2 ? of.dtype : DType::float32, static_cast<size_t>(of.C * of.K)),
        bias(weight.dtype, static_cast<size_t>(of.C)),
        has_bias(of.number % 5 > 0),
        z(static_cast<size_t>(of.N * of.S * of.C)) {
    std::mt19937 random(of.number);
    const auto fill = [&](Buffer& buffer) {
      for (size_t i = 0; i < buffer.count; i++) buffer.set(i, static_cast<double>(random() % 9) / 4 - 1);
    };
    fill(features);
    fill(weight);
    fill(bias);
    // Voxels of NaN alone, and of infinities and, where a weight is 0, NaN.
    for (int64_t i = 5; i < x.N * x.S; i += 11) {
      const auto place = static_cast<size_t>(x.at(i / x.S, x.K - 1, i % x.S, x.K));
      features.set(place, i % 2 ? NAN : INFINITY);
    }
    for (int64_t i = 0; i < x.N * x.S; i++) {
      for (int64_t c = 0; c < x.C; c++) {
        double sum = has_bias ? bias.get(static_cast<size_t>(c)) : 0;
        for (int64_t k = 0; k < x.K; k++) {
          sum += weight.get(static_cast<size_t>(c * x.K + k)) *
                 features.get(static_cast<size_t>(x.at(i / x.S, k, i % x.S, x.K)));
        }
        z[static_cast<size_t>(i * x.C + c)] = sum;
      }
    }
  }

  const double* logits(int64_t voxel) const { return z.data() + voxel * x.C; }

  void describe(Inputs& in, Head& head) {
    in.samples = x.N;
    in.classes = x.C;
    in.voxels = x.S;
    in.channels_last = x.last;
    in.predictions = features.operand();
    head.channels = x.K;
    head.weight = weight.operand();
    head.bias = {has_bias ? bias.data() : nullptr, bias.dtype};
  }
};

/// The largest logit's class. of_nan: the class where one is NaN; -1: NaN is never the largest.
int64_t largest(const double* z, int64_t C, int64_t of_nan) {
  int64_t best = 0;
  double most = -INFINITY;
  for (int64_t c = 0; c < C; c++) {
    if (std::isnan(z[c]) && of_nan >= 0) return of_nan;
    if (!(z[c] > most)) continue;
    most = z[c];
    best = c;
  }
  return best;
}

void run(const Prediction& prediction) {
  const char* why = cuda::unsupported(prediction);
  expect(!why, why ? why : "");
  Buffer workspace(DType::uint8, cuda::workspace_bytes(prediction));
  expect(cuda::enqueue(prediction, workspace.data(), nullptr) == cudaSuccess, "an error");
}

void check_classes(Arrays& arrays) {
  const PredictCase& x = arrays.x;
  for (const DType dtype : {DType::uint8, DType::uint16}) {
    if (dtype == DType::uint8 && x.C > 256) continue;
    Prediction prediction;
    arrays.describe(prediction.call.in, prediction.call.head);
    Buffer out(dtype, static_cast<size_t>(x.N * x.S));
    prediction.out = out.data();
    prediction.dtype = dtype;
    run(prediction);
    for (int64_t i = 0; i < x.N * x.S; i++) {
      const auto got = static_cast<int64_t>(out.get(static_cast<size_t>(i)));
      const int64_t wanted = largest(arrays.logits(i), x.C, -1);
      expect(got == wanted,
             "class of voxel " + std::to_string(i) + " is " + std::to_string(got) + ", not " + std::to_string(wanted));
    }
  }
}

void check_probabilities(Arrays& arrays, Activation activation) {
  const PredictCase& x = arrays.x;
  Prediction prediction;
  arrays.describe(prediction.call.in, prediction.call.head);
  prediction.call.in.activation = activation;
  prediction.classes = {x.C - 1, 0, x.C / 2};
  for (int64_t i = 0; x.C > 100 && i < 90; i++) prediction.classes.push_back(i * 7 % x.C);  // of two kernels
  const auto all = static_cast<int64_t>(prediction.classes.size());
  const bool wide = x.dtype == DType::float64;
  Buffer out(wide ? DType::float64 : DType::float32, static_cast<size_t>(x.N * x.S * all));
  prediction.out = out.data();
  run(prediction);
  for (int64_t i = 0; i < x.N * x.S; i++) {
    const double* z = arrays.logits(i);
    double most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < x.C; c++) most = std::fmax(most, z[c]);
    for (int64_t c = 0; c < x.C; c++) sum += std::exp(z[c] - most);
    if (!std::isfinite(sum)) continue;
    for (int64_t k = 0; k < all; k++) {
      const double logit = z[prediction.classes[static_cast<size_t>(k)]];
      const double wanted =
          activation == Activation::softmax ? std::exp(logit - most) / sum : 1 / (1 + std::exp(-logit));
      const double got = out.get(static_cast<size_t>(x.at(i / x.S, k, i % x.S, all)));
      expect(std::fabs(got - wanted) <= (wide ? 1e-13 : 1e-6) + (wide ? 1e-12 : 1e-5) * wanted,
             "probability " + std::to_string(k) + " of voxel " + std::to_string(i) + " is " + std::to_string(got) +
                 ", not " + std::to_string(wanted));
    }
  }
}

/// Hard metrics. Target, weights and what is ignored take turns.
void check_counts(Arrays& arrays, Decision decision) {
  const PredictCase& x = arrays.x;
  const bool labels = x.number % 4 != 2, weighted = x.number % 3 == 0;
  const bool own_weights = decision == Decision::threshold && x.number % 3 == 1;
  const bool ignores = labels ? x.number % 2 == 0 : x.C == 1 && decision == Decision::threshold;
  const auto ignored = static_cast<double>(labels ? 200 : 9);
  std::mt19937 random(x.number + 1);
  const auto elements = static_cast<size_t>(x.N * x.S * x.C), voxels = static_cast<size_t>(x.N * x.S);
  Buffer target(labels ? (x.number % 5 ? DType::uint8 : DType::int64) : x.dtype, labels ? voxels : elements);
  Buffer weight(x.number % 2 ? x.dtype : DType::uint8, own_weights ? elements : voxels);
  for (size_t i = 0; i < target.count; i++) {
    const bool hides = ignores && i % 5 == 0;
    const auto label = static_cast<double>(random() % static_cast<unsigned>(x.C == 1 ? 2 : x.C > 200 ? 200 : x.C));
    target.set(i, hides ? ignored : labels ? label : static_cast<double>(random() % 2));
  }
  for (size_t i = 0; i < weight.count; i++) weight.set(i, random() % 3 > 0);

  cuda::DeviceCount call;
  arrays.describe(call.in, call.head);
  call.decision = decision;
  call.threshold = -0.25;
  call.in.labels = labels;
  call.in.has_ignore = ignores;
  call.in.ignore_index = static_cast<int64_t>(ignored);
  call.in.target = target.operand();
  if (weighted) call.in.weight = weight.operand();
  if (own_weights) call.in.class_weight = weight.operand();
  call.by_sample = x.number % 2 == 0;
  const int64_t row = 4 * x.C;
  std::vector<unsigned long long> want(static_cast<size_t>(call.cells())), got(want.size(), 77);
  std::vector<unsigned long long> want_rows(static_cast<size_t>(x.N * row)), got_rows(want_rows.size(), 77);
  const auto add = [&](int64_t n, int64_t cell) {
    want[static_cast<size_t>(cell)]++;
    for (const int64_t place : row_places(decision, x.C, cell).places) {
      if (place >= 0) want_rows[static_cast<size_t>(n * row + place)]++;
    }
  };
  for (int64_t i = 0; i < x.N * x.S; i++) {
    const int64_t n = i / x.S;
    const auto dense = [&](const Buffer& from, int64_t c) {
      return from.get(static_cast<size_t>(x.at(n, c, i % x.S, x.C)));
    };
    const double label = labels ? target.get(static_cast<size_t>(i)) : dense(target, 0);
    if ((weighted && weight.get(static_cast<size_t>(i)) == 0) || (ignores && label == ignored)) continue;
    const int64_t base = x.C == 1 ? 1 : 0;
    int64_t truth = label < static_cast<double>(base) ? x.C : static_cast<int64_t>(label) - base;
    if (!labels) {
      truth = x.C;
      for (int64_t c = x.C - 1; c >= 0; c--) truth = dense(target, c) > 0 ? c : truth;
    }
    const double* z = arrays.logits(i);
    if (decision == Decision::argmax) add(n, truth * (x.C + 1) + largest(z, x.C, x.C));
    for (int64_t c = 0; decision == Decision::threshold && c < x.C; c++) {
      if (own_weights && dense(weight, c) == 0) continue;
      const bool t = labels ? truth == c : dense(target, c) > 0.5;
      add(n, (c * 2 + t) * 2 + (z[c] > -0.25));
    }
  }
  if (!call.by_sample) want_rows.assign(want_rows.size(), 77);
  LabelFault faults[2];
  call.counts = got.data();
  call.rows = got_rows.data();
  call.faults = faults;
  Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
  expect(cuda::enqueue(call, workspace.data(), nullptr) == cudaSuccess, "an error of the counts");
  expect(faults[0].count == 0 && faults[1].count == 0, "valid values are faults");
  expect(got == want, "the counts of decision " + std::to_string(static_cast<int>(decision)));
  expect(got_rows == want_rows, "the rows of decision " + std::to_string(static_cast<int>(decision)));
}

/// Values that can be no labels, no dense target and no probabilities are found once, with what they are.
void invalid_values(bool last) {
  const PredictCase x = {DType::float32, last, 2, 3, 150, 10, 1};
  test_name = std::string("invalid values") + (last ? ", channels last" : "");
  for (const bool dense : {false, true}) {
    Arrays arrays(x);
    for (size_t i = 0; i < arrays.features.count; i++) arrays.features.set(i, 0);
    arrays.features.set(static_cast<size_t>(x.at(1, 4, 100, x.K)), 8);
    arrays.weight.set(2 * 10 + 4, 0.5);
    for (size_t c = 0; c < 3; c++) {
      arrays.bias.set(c, 0.25);
      if (c < 2) arrays.weight.set(c * 10 + 4, 0);
    }
    Buffer target(dense ? DType::float32 : DType::int32, dense ? 2 * 3 * 150 : 2 * 150);
    for (size_t i = 0; i < target.count; i++) target.set(i, i == 40 || i == 250 ? 7 : 1);
    cuda::DeviceCount call;
    arrays.describe(call.in, call.head);
    call.decision = Decision::threshold;
    call.in.labels = !dense;
    call.in.target = target.operand();
    std::vector<unsigned long long> counts(static_cast<size_t>(call.cells()));
    LabelFault faults[2];
    call.counts = counts.data();
    call.faults = faults;
    Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
    expect(cuda::enqueue(call, workspace.data(), nullptr) == cudaSuccess, "an error of the counts");
    expect(faults[1].count == 2 && faults[1].first_index == 40 && faults[1].first_value == 7, "the target's faults");
    expect(faults[0].count == 1 && faults[0].first_index == x.at(1, 2, 100, 3) && faults[0].first_value == 4.25,
           "the predictions' faults: " + std::to_string(faults[0].count) + ", the first " +
               std::to_string(faults[0].first_value) + " at " + std::to_string(faults[0].first_index));
  }
}

/// What a count takes grows with N*S at most, and a prediction takes no more than one copy of the weights.
void bounds() {
  test_name = "the workspace of a prediction";
  for (const int64_t C : {1, 117, 1000}) {
    cuda::DeviceCount count;
    count.in.samples = 1;
    count.in.classes = C;
    count.head.channels = 64;
    const size_t weights = static_cast<size_t>(C + 8) * 68 * sizeof(float) + 1024;
    for (const int64_t S : {int64_t{1} << 10, int64_t{1} << 30}) {
      count.in.voxels = S;
      count.decision = Decision::threshold;
      expect(cuda::workspace_bytes(count) < weights, "a threshold takes more");
      count.decision = Decision::argmax;
      expect(cuda::workspace_bytes(count) < weights + static_cast<size_t>(2 * S), "argmax takes more");
      Prediction prediction;
      prediction.call.in = count.in;
      prediction.call.head = count.head;
      expect(cuda::workspace_bytes(prediction) < weights, "classes take more");
    }
    count.head.channels = 1024;
    expect(!cuda::unsupported(count), "1000 classes are refused");
  }
  cuda::DeviceCount many;
  many.in.samples = many.in.voxels = many.head.channels = 1;
  many.in.classes = 5000;
  expect(cuda::unsupported(many) && cuda::enqueue(many, nullptr, nullptr) == cudaErrorNotSupported, "5000 are taken");
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  const std::string text = argc > 3 ? argv[3] : "";
  const char* const dtypes[] = {"float32", "float64", "float16", "bfloat16"};
  const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
  constexpr int64_t kShapes[][3] = {{1, 1, 1},   {2, 1, 131},  {1, 2, 31},   {2, 5, 257},
                                    {1, 19, 33}, {2, 150, 67}, {1, 300, 37}, {1, 3, 1031}};
  constexpr int64_t kChannels[] = {1, 9, 150};
  unsigned number = 0, named = 0, done = 0;
  for (int type = 0; type < 4; type++) {
    for (const bool last : {false, true}) {
      for (const auto& [N, C, S] : kShapes) {
        for (const int64_t K : kChannels) {
          number++;
          test_name = std::string(dtypes[type]) + (last ? ", channels last, N=" : ", N=") + std::to_string(N) +
                      " C=" + std::to_string(C) + " S=" + std::to_string(S) + " K=" + std::to_string(K);
          if (test_name.find(text) == std::string::npos || ++named % every != 0) continue;
          done++;
          simt::config().order = orders[(number + further) % 3];
          simt::config().seed = number + further;
          const PredictCase x = {static_cast<DType>(type), last, N, C, S, K, number};
          Arrays arrays(x);
          check_classes(arrays);
          check_probabilities(arrays, number % 2 ? Activation::softmax : Activation::sigmoid);
          for (const Decision decision : {Decision::argmax, Decision::threshold}) check_counts(arrays, decision);
        }
      }
    }
  }
  // More tiles than blocks. It takes as long as all other cases of npm test.
  test_name = "float32, 66001 voxels";
  if (every < 15 && test_name.find(text) != std::string::npos) {
    done++;
    Arrays arrays({DType::float32, false, 1, 2, 66001, 1, 3});
    check_probabilities(arrays, Activation::softmax);
    for (const Decision decision : {Decision::argmax, Decision::threshold}) check_counts(arrays, decision);
  }
  for (const bool last : {false, true}) invalid_values(last);
  bounds();
  std::printf("%u cases, %d failures\n", done, failures);
  return failures == 0 ? 0 : 1;
}
