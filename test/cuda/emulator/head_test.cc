// Compares calls with a head in the emulator with the 1x1 convolution in double and reference.h: sums, value,
// dL/dfeatures, dL/dweight, dL/dbias and dL/dt. Losses, dtypes, targets, activations and layouts of cases.h; numbers of
// classes and channels at the edges of tiles and parts of products. For the arguments see kernels_test.cc.
//
//   head_test [order] [every] [text]
#include <cstdlib>

#include "compare.h"

namespace {

using namespace compare;

struct HeadCase {
  Case test;
  int64_t K;

  std::string name() const { return test.name() + " K=" + std::to_string(K); }
};

/// The arrays of a head, and the logits that they make.
struct HeadArrays {
  Arrays arrays;
  Buffer features, weight, bias;
  bool has_bias;
  int64_t K;
  reference::Array x, w;  // [N][K][S], [C][K]

  explicit HeadArrays(const HeadCase& one)
      : arrays(one.test),
        features(one.test.dtype, static_cast<size_t>(one.test.shape.N * one.K * one.test.shape.S), one.test.bit(11)),
        weight(weight_type(one.test), static_cast<size_t>(one.test.shape.C * one.K)),
        bias(weight.dtype, static_cast<size_t>(one.test.shape.C)),
        has_bias(one.test.bit(17)),
        K(one.K) {
    reference::Problem& problem = arrays.x;
    std::mt19937 random(one.test.number + 1);
    std::uniform_real_distribution<double> unit(-1, 1);
    const auto fill = [&](Buffer& buffer, size_t i, double value) {
      buffer.set(i, value);
      return buffer.get(i);
    };
    w.resize(weight.count);
    const double spread = 3 / std::sqrt(static_cast<double>(K));
    for (size_t i = 0; i < w.size(); i++) w[i] = fill(weight, i, spread * unit(random));
    for (size_t c = 0; c < bias.count; c++) fill(bias, c, unit(random));
    x.resize(features.count);
    for (int64_t n = 0; n < problem.N; n++) {
      for (int64_t s = 0; s < problem.S; s++) {
        bool counts = false;
        for (int64_t c = 0; c < problem.C; c++) counts = counts || problem.w[problem.at(n, c, s)] != 0;
        for (int64_t k = 0; k < K; k++) {
          const double value = fill(features, lies_at(one.test, n, k, s), unit(random));
          if (!counts) features.set(lies_at(one.test, n, k, s), NAN);  // must not matter
          x[at(n, k, s)] = counts ? value : 0;
        }
        for (int64_t c = 0; c < problem.C; c++) {
          double z = has_bias ? bias.get(static_cast<size_t>(c)) : 0;
          for (int64_t k = 0; k < K; k++) z += w[static_cast<size_t>(c * K + k)] * x[at(n, k, s)];
          problem.z[problem.at(n, c, s)] = z;
        }
      }
    }
  }

  size_t at(int64_t n, int64_t k, int64_t s) const { return static_cast<size_t>((n * K + k) * arrays.x.S + s); }
  size_t lies_at(const Case& test, int64_t n, int64_t k, int64_t s) const {
    return test.channels_last ? static_cast<size_t>((n * arrays.x.S + s) * K + k) : at(n, k, s);
  }
  static DType weight_type(const Case& test) { return test.bit(18) ? test.dtype : DType::float32; }
};

struct Wanted {
  reference::Array features, weight, bias;

  Wanted(const HeadArrays& head, const reference::Array& dz) {
    const reference::Problem& x = head.arrays.x;
    features.resize(head.x.size());
    weight.resize(head.w.size());
    bias.resize(static_cast<size_t>(x.C));
    for (int64_t n = 0; n < x.N; n++) {
      for (int64_t c = 0; c < x.C; c++) {
        for (int64_t s = 0; s < x.S; s++) {
          const double slope = dz[x.at(n, c, s)];
          bias[static_cast<size_t>(c)] += slope;
          for (int64_t k = 0; k < head.K; k++) {
            const size_t i = static_cast<size_t>(c * head.K + k);
            features[head.at(n, k, s)] += slope * head.w[i];
            weight[i] += slope * head.x[head.at(n, k, s)];
          }
        }
      }
    }
  }
};

void compare_array(const char* what, const Buffer& got, const reference::Array& want, double added, DType dtype,
                   const std::vector<size_t>& places = {}) {
  double largest = 0;
  for (double g : want) largest = std::fmax(largest, std::fabs(g));
  const double tolerance = dtype == DType::float64 ? 4e-9 : 2e-5, u = unit_roundoff(got.dtype);
  const double least = is_half(got.dtype) ? 0x1p-24 : 0;
  for (size_t i = 0; i < want.size(); i++) {
    const double wanted = want[i] + added, g = got.get(places.empty() ? i : places[i]);
    expect(std::fabs(g - wanted) <= tolerance * largest + u * std::fabs(wanted) + least, [&] {
      return what + std::string(" ") + std::to_string(i) + " is " + std::to_string(g) + ", not " +
             std::to_string(wanted);
    });
  }
}

/// The sums of float logits are as exact as the logits.
void compare_sums(const Buffer& got, const reference::Rows& want, const Case& test, const cuda::DeviceCall& call) {
  const Inputs& in = call.in;
  const bool made[] = {true, true, true, true, true, in.cross_entropy, in.uniform, in.focal};
  const double tolerance = test.dtype == DType::float64 ? 1e-12 : 1e-5;
  for (size_t i = 0; i < want.size(); i++) {
    for (size_t k = 0; k < reference::kSums; k++) {
      const double sum = got.get(i * reference::kSums + k), wanted = made[k] ? static_cast<double>(want[i].x[k]) : 0;
      expect(std::fabs(sum - wanted) <= tolerance * std::fmax(std::fabs(wanted), 1e-2), [&] {
        return "sum " + std::to_string(k) + " of row " + std::to_string(i) + " is " + std::to_string(sum) + ", not " +
               std::to_string(wanted);
      });
    }
  }
}

void run(const HeadCase& one) {
  const Case& test = one.test;
  HeadArrays head(one);
  Arrays& arrays = head.arrays;
  reference::Problem& x = arrays.x;
  x.scale = 1;
  cuda::DeviceCall call = call_of(test, arrays);
  call.in.predictions = head.features.operand();
  call.head.channels = one.K;
  call.head.weight = head.weight.operand();
  call.head.bias = {head.has_bias ? head.bias.data() : nullptr, head.bias.dtype};

  // Each part may be left out, and added to what is there; the features' gradient may replace them.
  const bool of_weight = !test.bit(8) || test.bit(9), of_features = !test.bit(19) || !of_weight;
  const bool accumulates = test.bit(10), in_place = test.bit(20) && !accumulates;
  const bool widens = is_half(test.dtype) && test.bit(13) && !in_place;
  const bool for_target = test.target >= Target::dense_like;
  const double before = accumulates ? 0.25 : 0;
  const auto grad_type = [&](DType dtype) { return is_half(dtype) && widens ? DType::float32 : dtype; };
  Buffer features(grad_type(test.dtype), head.features.count, test.bit(12)),
      weight(grad_type(head.weight.dtype), head.weight.count), bias(weight.dtype, head.bias.count),
      target(arrays.target.dtype, Arrays::elements(test));
  for (Buffer* buffer : {&features, &weight, &bias}) {
    for (size_t i = 0; i < buffer->count && accumulates; i++) buffer->set(i, before);
  }
  const size_t rows = static_cast<size_t>(x.groups() * x.C);
  Buffer value(DType::float64, rows), statistics(DType::float64, rows * kSumCount);
  LabelFault faults{1, 1, 1};
  call.statistics = statistics.doubles();
  call.value = value.doubles();
  call.faults = &faults;
  const Buffer& out = in_place ? head.features : features;
  if (of_features) call.grad = {out.data(), out.dtype, accumulates, false};
  else call.grad = {};
  if (of_weight) call.head.weight_grad = {weight.data(), weight.dtype, accumulates, false};
  call.head.bias_grad = {head.has_bias ? bias.data() : nullptr, bias.dtype, accumulates, false};
  if (for_target) call.steps |= kTargetGradient;
  call.target_grad = {target.data(), target.dtype, false, false};
  enqueue(call);

  const reference::Result want = reference::solve(x);
  const Wanted wanted(head, want.gradient);
  expect(faults.count == 0, "valid labels are faults");
  compare_sums(statistics, want.sums, test, call);
  Case loose = test;
  compare_value(value, want.value, loose);
  std::vector<size_t> places(head.x.size());
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t k = 0; k < one.K; k++) {
      for (int64_t s = 0; s < x.S; s++) places[head.at(n, k, s)] = head.lies_at(test, n, k, s);
    }
  }
  if (of_features) compare_array("dL/dx", out, wanted.features, before, test.dtype, places);
  if (of_weight) compare_array("dL/dweight", weight, wanted.weight, before, test.dtype);
  if (head.has_bias) compare_array("dL/dbias", bias, wanted.bias, before, test.dtype);
  if (for_target) compare_gradient("gradient of the target", target, want.target_gradient, 0, test, x);
}

/// Runs cases, which take turns in the scheduler's orders.
struct CaseRunner {
  unsigned further, every;
  std::string text;
  unsigned number = 0, named = 0, done = 0;

  void operator()(HeadCase one) {
    one.test.number = ++number;
    if (!one.test.makes_sense()) return;
    const bool is_long = one.test.shape.S > 66000;
    if (one.name().find(text) == std::string::npos || (++named % every != 0 && !is_long)) return;
    done++;
    const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
    simt::config().order = orders[(number + further) % 3];
    simt::config().seed = number + further;
    test_name = one.name();
    run(one);
  }
};

constexpr reference::Activation kOf[] = {reference::Activation::softmax, reference::Activation::sigmoid};
/// One voxel, odd rows, a whole tile and a voxel more, several tiles; classes at the edges of parts of products.
constexpr Shape kOfHead[] = {{2, 3, 33}, {1, 1, 129}, {3, 5, 1}, {1, 8, 300}, {1, 19, 131}, {2, 33, 65}, {1, 117, 67}};
constexpr int64_t kChannels[] = {1, 7, 8, 9, 32, 33, 70};

/// Every loss with every target, activation and layout. Dtypes, shapes and channels take turns.
void run_losses(CaseRunner& one) {
  size_t turn = 0;
  for (const LossCase& loss : kLosses) {
    for (Target target : kTargets) {
      for (reference::Activation activation : kOf) {
        for (bool last : {false, true}) {
          turn++;
          const DType dtype = loss.has_kernels_of_its_own() && !last ? kDTypes[turn % 4] : DType::float32;
          one({{&loss, dtype, target, activation, last, kOfHead[turn % std::size(kOfHead)], 0},
               kChannels[turn / 3 % std::size(kChannels)]});
        }
      }
    }
  }
}

/// Every shape and number of channels, with every dtype and layout.
void run_shapes(CaseRunner& one) {
  size_t turn = 0;
  const LossCase& all = kLosses[std::size(kLosses) - 1];
  for (DType dtype : kDTypes) {
    for (bool last : {false, true}) {
      for (const Shape& shape : kOfHead) {
        for (int64_t K : kChannels) {
          const LossCase& loss = turn % 4 == 3 ? all : kLosses[turn % 2 * 7];
          one({{&loss, dtype, kTargets[turn % 5], kOf[turn / 2 % 2], last, shape, 0}, K});
          turn++;
        }
      }
    }
    // Narrow tiles, and features that do not fit shared memory at once.
    one({{&kLosses[7], dtype, Target::labels_int32, kOf[0], false, {1, 257, 37}, 0}, 5});
    one({{&kLosses[7], dtype, Target::labels_int32, kOf[0], true, {1, 1000, 9}, 0}, 3});
    one({{&kLosses[7], dtype, Target::labels_int32, kOf[1], false, {2, 4, 70}, 0}, 600});
  }
}

/// More tiles than blocks, in both steps.
void run_long(CaseRunner& one, bool all) {
  const auto run = [&](int64_t C) {
    one({{&kLosses[7], DType::float32, Target::labels_uint8, kOf[C == 1], false, {1, C, 66001}, 0}, 2});
  };
  run(1);
  if (all) run(70);
}

/// A call of float32 softmax, or sigmoid, Dice with labels and no options.
struct PlainCall {
  Case test;
  HeadArrays head;
  cuda::DeviceCall call;
  Buffer value, features, weight, bias;

  PlainCall(Shape shape, int64_t K, bool sigmoid = false)
      : test{kLosses, DType::float32, Target::labels_int32, kOf[sigmoid], false, shape, 1},
        head({test, K}),
        call(call_of(test, head.arrays)),
        value(DType::float64, static_cast<size_t>(shape.N * shape.C)),
        features(DType::float32, head.features.count),
        weight(DType::float32, head.weight.count),
        bias(DType::float32, head.bias.count) {
    for (size_t i = 0; i < head.weight.count; i++) head.weight.set(i, 1.0 / static_cast<double>(1 + i % 7));
    for (size_t i = 0; i < head.features.count; i++) head.features.set(i, static_cast<double>(i % 13) / 13);
    for (size_t i = 0; i < head.arrays.target.count; i++) head.arrays.target.set(i, static_cast<double>(i % 3));
    call.in.predictions = head.features.operand();
    call.in.has_ignore = false;
    call.in.weight = call.in.class_weight = {};
    call.options.reduction = Reduction::mean;
    call.upstream = nullptr;
    call.head.channels = K;
    call.head.weight = head.weight.operand();
    call.head.bias = head.bias.operand();
    call.value = value.doubles();
    call.grad = {features.data(), DType::float32, false, false};
    call.head.weight_grad = {weight.data(), DType::float32, false, false};
    call.head.bias_grad = {bias.data(), DType::float32, false, false};
  }
};

/// Labels that name no class are counted once.
void invalid_labels() {
  for (int64_t C : {3, 40, 300}) {
    test_name = "invalid labels of a head, C=" + std::to_string(C);
    PlainCall plain({2, C, 90}, 4);
    for (size_t i : {177, 41, 66}) plain.head.arrays.target.set(i, i == 41 ? -3 : 1000);
    LabelFault faults;
    plain.call.faults = &faults;
    enqueue(plain.call);
    expect(faults.count == 3 && faults.first_index == 41 && faults.first_value == -3,
           "faults: " + std::to_string(faults.count) + ", the first at " + std::to_string(faults.first_index));
  }
}

/// Under a sigmoid an infinite logit has a gradient, and so have the features.
void infinite_features() {
  test_name = "an infinite feature";
  PlainCall plain({1, 3, 50}, 5, true);
  plain.head.features.set(2 * 50 + 20, INFINITY);
  enqueue(plain.call);
  for (size_t k = 0; k < 5; k++) expect(plain.features.get(k * 50 + 20) == 0, "dL/dx where p = 1 is not 0");
}

/// Where NaN elsewhere makes the slopes NaN, a voxel of weight 0 still has no gradient.
void hidden_voxels() {
  test_name = "a voxel of weight 0 beside NaN";
  PlainCall plain({1, 3, 50}, 5);
  Buffer weight(DType::float32, 50);
  for (size_t i = 0; i < 50; i++) weight.set(i, i == 7 ? 0 : 1);
  plain.call.in.weight = weight.operand();
  plain.head.features.set(20, NAN);
  enqueue(plain.call);
  expect(std::isnan(plain.value.get(0)), "the value is not NaN");
  for (size_t k = 0; k < 5; k++) expect(plain.features.get(k * 50 + 7) == 0, "dL/dx of a voxel of weight 0 is not 0");
}

/// Classes whose bias is far below the others' have p = 0, however far; one that is far above has p = 1.
void far_biases() {
  for (int64_t C : {9, 16, 40, 300}) {
    for (const bool above : {false, true}) {
      std::string bits;
      for (const double bias : {1e4, 1e9, 2e9, 5e9, 1e10, 1e20, 1e30, 1e38, 3.4e38, static_cast<double>(INFINITY)}) {
        if (above && std::isinf(bias)) continue;
        test_name = "a head with bias " + std::to_string(above ? bias : -bias) + ", C=" + std::to_string(C);
        PlainCall plain({1, C, 70}, 6);
        const int64_t begin = above ? C - 2 : 3, end = above ? C - 1 : C == 16 ? C : C - 5;
        for (int64_t c = begin; c < end; c++) plain.head.bias.set(static_cast<size_t>(c), above ? bias : -bias);
        enqueue(plain.call);
        std::string found(plain.value.data(), sizeof(double));
        for (const Buffer* part : {&plain.features, &plain.weight, &plain.bias}) {
          found.append(part->data(), part->count * sizeof(float));
          for (size_t i = 0; i < part->count; i++) expect(std::isfinite(part->get(i)), "a gradient is not finite");
        }
        if (bits.empty()) bits = found;
        expect(found == bits, "not as with 10000");
      }
    }
  }
}

/// Of logits that are large the differences count.
void large_logits() {
  for (const double bias : {1.6e7, 1.7e7, 3e7, -1.7e7, -3e7}) {
    test_name = "a head of logits near " + std::to_string(bias);
    double values[2];
    for (const bool large : {false, true}) {
      PlainCall plain({1, 20, 70}, 6);
      for (size_t i = 0; i < plain.head.weight.count; i++) plain.head.weight.set(i, 0);
      for (size_t c = 0; c < 20; c++) plain.head.bias.set(c, (large ? bias : 0) + 4.0 * static_cast<double>(c / 8));
      enqueue(plain.call);
      values[large] = plain.value.get(0);
    }
    expect(std::fabs(values[1] - values[0]) < 1e-5, std::to_string(values[1]) + ", not " + std::to_string(values[0]));
  }
}

/// Every order of threads and blocks gives the same bits, also on a workspace that was used before.
void same_bits() {
  for (Shape shape : {Shape{2, 3, 900}, Shape{1, 70, 300}, Shape{1, 300, 60}}) {
    test_name = "same bits of a head, C=" + std::to_string(shape.C);
    PlainCall plain(shape, shape.C == 3 ? 80 : 11);  // 80 do not fit at once
    std::string first;
    Buffer workspace(DType::uint8, cuda::workspace_bytes(plain.call));
    for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random, simt::Order::random}) {
      simt::config().order = order;
      simt::config().seed++;
      expect(cuda::enqueue(plain.call, workspace.data(), nullptr) == cudaSuccess, simt::last_fault());
      std::string bits(plain.value.data(), sizeof(double));
      for (const Buffer* part : {&plain.features, &plain.weight, &plain.bias}) {
        bits.append(part->data(), part->count * sizeof(float));
      }
      if (first.empty()) first = bits;
      expect(bits == first, "not the same bits");
    }
  }
}

/// What the workspace takes beyond the sums does not grow with the voxels; too many classes are refused.
void bounds() {
  test_name = "the workspace of a head";
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.activation = Activation::softmax;
  call.in.samples = 1;
  call.head.channels = 64;
  for (int64_t C : {1, 117, 1000}) {
    call.in.classes = C;
    call.in.voxels = int64_t{1} << 24;
    const size_t bytes = cuda::workspace_bytes(call);
    call.in.voxels = (int64_t{1} << 40) + 1;
    expect(cuda::workspace_bytes(call) == bytes, "it grows with the voxels");
    expect(bytes < size_t{512} * 64 * static_cast<size_t>(std::max<int64_t>(C, 256)) + (size_t{36} << 20),
           "it takes " + std::to_string(bytes));
  }
  call.head.channels = 1024;
  expect(!cuda::unsupported(call), "1000 classes are refused");
  call.in.classes = 5000;
  expect(cuda::unsupported(call), "5000 classes are not refused");
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  CaseRunner one{further, every, argc > 3 ? argv[3] : ""};
  run_losses(one);
  run_shapes(one);
  run_long(one, every == 1);
  for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random}) {
    simt::config().order = order;
    invalid_labels();
  }
  infinite_features();
  hidden_voxels();
  far_biases();
  large_logits();
  same_bits();
  bounds();
  std::printf("%u cases, %d failures\n", one.done, failures);
  return failures == 0 ? 0 : 1;
}
