// The table of decisions: which call is done how.
#include "cpu/strategy.h"

#include <functional>
#include <string>

#include "check.h"

namespace warpdice::test {
namespace {

using cpu::Capabilities;
using cpu::Strategy;

constexpr int64_t kMebi = int64_t{1} << 20;
constexpr uint32_t kAllSteps = kStatistics | kFinalize | kGradient;

/// Mean Dice of softmax over labels: value and gradient, all in float32. Nothing reads the arrays.
Call plain_call(int64_t samples, int64_t classes, int64_t voxels) {
  static char predictions, target, gradient;
  Call call;
  call.steps = kAllSteps;
  call.in.samples = samples, call.in.classes = classes, call.in.voxels = voxels;
  call.in.activation = Activation::softmax;
  call.in.predictions = {&predictions, DType::float32};
  call.in.target = {&target, DType::uint8};
  call.grad.data = &gradient;
  return call;
}

Call with_dtypes(Call call, DType predictions, DType gradient) {
  call.in.predictions.dtype = predictions;
  call.grad.dtype = gradient;
  return call;
}

std::string text(const Strategy& s, int64_t samples) {
  return std::string(s.sums_twice ? "twice " : "") + (s.fuses_steps ? "fused " : "") +
         (s.counts_labels ? "counted " : "") + (s.reuses_probabilities ? "reused " : "") +
         (s.streams ? "streamed " : "") + std::to_string(s.samples_at_once) +
         (s.samples_held < samples ? " of " + std::to_string(s.samples_held) : "");
}

void expect_strategy(const std::string& name, const Call& call, int vector_bytes, const std::string& expected) {
  Capabilities capabilities;
  capabilities.vector_bytes = vector_bytes;
  const std::string actual = text(choose_strategy(call, capabilities), call.options.pooled ? 0 : call.groups());
  checks++;
  if (actual == expected) return;
  failures++;
  std::printf("strategy of %s, vectors of %d bytes: expected '%s' but received '%s'\n", name.c_str(), vector_bytes,
              expected.c_str(), actual.c_str());
}

/// Shapes, layouts and dtypes: what the caches hold and how wide vectors are.
void test_memory() {
  const DType f32 = DType::float32, f64 = DType::float64, f16 = DType::float16, bf16 = DType::bfloat16;
  const Call one = plain_call(1, 3, kMebi);  // logits and gradient: 24 MiB
  struct Row {
    const char* name;
    Call call;
    const char* bytes16;
    const char* bytes32;
    const char* bytes64;
  };
  Call last = plain_call(1, 3, kMebi + 1), last_many = plain_call(64, 3, 65536),
       one_voxel = plain_call(kMebi + 1, 3, 1);
  last.in.channels_last = last_many.in.channels_last = one_voxel.in.channels_last = true;
  Call one_class = plain_call(1, 1, 3 * kMebi + 1);
  one_class.in.channels_last = true;
  const Row rows[] = {
      {"a small call", plain_call(2, 3, 1000), "fused reused 2", "fused reused 2", "fused reused 2"},
      {"24 MiB", one, "fused reused 1", "fused reused 1", "fused reused 1"},
      {"24 MiB of two samples", plain_call(2, 3, kMebi / 2), "fused reused 2", "fused reused 2", "fused reused 2"},
      {"a voxel more", plain_call(1, 3, kMebi + 1), "fused reused 1", "fused reused 1", "fused streamed 1"},
      {"a voxel more, interleaved", last, "fused reused 1", "fused streamed 1", "fused streamed 1"},
      {"a voxel more of one class, which lies alike in both layouts", one_class, "fused reused 1", "fused reused 1",
       "fused streamed 1"},
      // Their sums would take 360 MiB.
      {"one voxel, which lies alike in both layouts", one_voxel, "fused reused 46603 of 46603",
       "fused streamed 46603 of 46603", "fused streamed 46603 of 46603"},
      {"two samples of 24 MiB", plain_call(2, 3, kMebi), "fused reused 1", "fused streamed 1", "fused streamed 1"},
      {"16 samples of 1.5 MiB", plain_call(16, 3, 65536), "fused reused 16", "fused reused 16", "fused reused 16"},
      {"17 samples of 1.5 MiB", plain_call(17, 3, 65536), "fused reused 8", "fused streamed 8", "fused streamed 8"},
      {"64 samples of 1.5 MiB, interleaved", last_many, "fused reused 8", "fused streamed 8", "fused streamed 8"},
      {"three samples of 9 MiB", plain_call(3, 3, 3 * kMebi / 8), "fused reused 1", "fused streamed 1",
       "fused streamed 1"},
      // Elements of 16, 4 and 6 bytes.
      {"24 MiB of float64", with_dtypes(plain_call(1, 3, kMebi / 2), f64, f64), "fused reused 1", "fused reused 1",
       "fused reused 1"},
      {"more than 24 MiB of float64", with_dtypes(plain_call(1, 3, kMebi / 2 + 1), f64, f64), "fused reused 1",
       "fused reused 1", "fused streamed 1"},
      {"24 MiB of float16", with_dtypes(plain_call(1, 3, 2 * kMebi), f16, f16), "fused 1", "fused 1", "fused 1"},
      {"more than 24 MiB of bfloat16", with_dtypes(plain_call(1, 3, 2 * kMebi + 1), bf16, bf16), "fused streamed 1",
       "fused streamed 1", "fused streamed 1"},
      {"24 MiB of float16 with a float32 gradient", with_dtypes(plain_call(1, 4, kMebi), f16, f32), "fused reused 1",
       "fused reused 1", "fused reused 1"},
      {"more than 24 MiB of float16 with a float32 gradient", with_dtypes(plain_call(1, 4, kMebi + 1), f16, f32),
       "fused reused 1", "fused reused 1", "fused streamed 1"},
  };
  for (const Row& row : rows) {
    expect_strategy(row.name, row.call, 16, row.bytes16);
    expect_strategy(row.name, row.call, 32, row.bytes32);
    expect_strategy(row.name, row.call, 64, row.bytes64);
  }
}

/// Steps and options, of a call that the cache holds and of one that it does not (four samples, each of 12 MiB).
void test_options() {
  static char memory;
  struct Row {
    const char* name;
    std::function<void(Call&)> change;
    const char* small;
    const char* large;
  };
  const auto cross_entropy = [](Call& call) { call.options.cross_entropy_factor = 1; };
  const auto focal = [](Call& call) { call.options.focal_factor = 1, call.in.focal = true; };
  const auto skip = [](Call& call) { call.options.absent = Absent::skip; };
  const auto weight = [](Call& call) { call.in.weight = {&memory, DType::float32}; };
  const auto ignore = [](Call& call) { call.in.has_ignore = true; };
  const auto dense = [](Call& call) { call.in.labels = false; };
  const auto sigmoid = [](Call& call) { call.in.activation = Activation::sigmoid, call.options.sigmoid = true; };
  const auto class_weights = [](Call& call) {
    static const double weights[3] = {1, 2, 3};
    call.options.class_weights = weights;
  };
  const auto generalized = [](Call& call) { call.options.kind = LossKind::generalized; };
  const auto both = [](auto one, auto other) { return [one, other](Call& call) { one(call), other(call); }; };
  const Row rows[] = {
      {"nothing changed", [](Call&) {}, "fused reused 4", "fused streamed 1"},
      // Steps.
      {"a value", [](Call& call) { call.steps = kStatistics | kFinalize; }, "4", "4"},
      {"a gradient of given sums", [](Call& call) { call.steps = kGradient; }, "4", "streamed 4"},
      {"a value of given sums", [](Call& call) { call.steps = kFinalize; }, "4", "4"},
      {"both gradients", [](Call& call) { call.steps |= kTargetGradient; }, "4", "streamed 4"},
      {"the target's gradient", [](Call& call) { call.steps = kStatistics | kTargetGradient; }, "4", "4"},
      // Where the gradient goes.
      {"in place", [](Call& call) { call.grad.data = const_cast<void*>(call.in.predictions.data); }, "fused reused 4",
       "fused 1"},
      {"added", [](Call& call) { call.grad.accumulate = true; }, "fused 4", "fused 1"},
      // What is computed.
      {"probabilities", [](Call& call) { call.in.activation = Activation::none; }, "fused 4", "fused streamed 1"},
      {"sigmoid", sigmoid, "fused reused 4", "fused streamed 1"},
      {"a minimum", [](Call& call) { call.in.overlap = Overlap::minimum; }, "fused 4", "fused streamed 1"},
      {"Wasserstein", [](Call& call) { call.in.overlap = Overlap::wasserstein; }, "fused 4", "fused streamed 1"},
      {"focal loss", focal, "fused 4", "fused streamed 1"},
      {"cross-entropy", cross_entropy, "fused reused 4", "fused streamed 1"},
      // What the mean divides by.
      {"pooled", [](Call& call) { call.options.pooled = true; }, "4", "streamed 4"},
      {"skip", skip, "fused counted reused 4", "fused counted streamed 1"},
      {"skip, a dense target", both(skip, dense), "4", "streamed 4"},
      {"skip, weights", both(skip, weight), "4", "streamed 4"},
      {"skip, ignored voxels", both(skip, ignore), "fused counted reused 4", "fused counted streamed 1"},
      {"a sum of what skip leaves", both(skip, [](Call& call) { call.options.reduction = Reduction::sum; }),
       "fused reused 4", "fused streamed 1"},
      {"each loss that skip leaves", both(skip, [](Call& call) { call.options.reduction = Reduction::none; }),
       "fused reused 4", "fused streamed 1"},
      {"worst", [](Call& call) { call.options.absent = Absent::worst; }, "fused reused 4", "fused streamed 1"},
      {"weights", weight, "fused reused 4", "fused streamed 1"},
      {"generalized", generalized, "fused reused 4", "fused streamed 1"},
      {"generalized, worst", both(generalized, [](Call& call) { call.options.absent = Absent::worst; }),
       "fused counted reused 4", "fused counted streamed 1"},
      {"cross-entropy, weights", both(cross_entropy, weight), "4", "streamed 4"},
      {"cross-entropy, a dense target", both(cross_entropy, dense), "4", "streamed 4"},
      {"cross-entropy, ignored voxels", both(cross_entropy, ignore), "fused counted reused 4",
       "fused counted streamed 1"},
      {"cross-entropy, class weights", both(cross_entropy, class_weights), "fused counted reused 4",
       "fused counted streamed 1"},
      {"cross-entropy of sigmoid, a dense target", both(both(cross_entropy, sigmoid), dense), "fused reused 4",
       "fused streamed 1"},
      {"cross-entropy of sigmoid, class weights", both(both(cross_entropy, sigmoid), class_weights), "fused reused 4",
       "fused streamed 1"},
      {"cross-entropy of sigmoid, weights", both(both(cross_entropy, sigmoid), weight), "4", "streamed 4"},
      {"focal loss, weights", both(focal, weight), "4", "streamed 4"},
      {"focal loss, ignored voxels", both(focal, ignore), "fused counted 4", "fused counted streamed 1"},
      {"focal loss, a dense target", both(focal, dense), "fused 4", "fused streamed 1"},
  };
  for (const Row& row : rows) {
    Call small = plain_call(4, 3, 1000), large = plain_call(4, 3, kMebi / 2);
    row.change(small), row.change(large);
    expect_strategy(row.name, small, 64, row.small);
    expect_strategy(std::string(row.name) + ", large", large, 64, row.large);
  }
}

/// A million samples of ten classes and one voxel: their sums would take 640 MiB, and as much again with the slopes.
void test_many_samples() {
  static char memory;
  struct Row {
    const char* name;
    std::function<void(Call&)> change;
    const char* value;
    const char* both;
  };
  const auto skip = [](Call& call) { call.options.absent = Absent::skip; };
  const auto weight = [](Call& call) { call.in.weight = {&memory, DType::float32}; };
  const auto cross_entropy = [](Call& call) { call.options.cross_entropy_factor = 1; };
  const auto both = [](auto one, auto other) { return [one, other](Call& call) { one(call), other(call); }; };
  const Row rows[] = {
      {"nothing changed", [](Call&) {}, "26214 of 26214", "fused streamed 13981 of 13981"},
      {"skip", skip, "counted 26214 of 26214", "fused counted streamed 13981 of 13981"},
      {"skip, weights", both(skip, weight), "twice 26214 of 26214", "twice streamed 13981 of 13981"},
      {"cross-entropy, weights", both(cross_entropy, weight), "26214 of 26214", "twice streamed 13981 of 13981"},
      {"probabilities", [](Call& call) { call.in.activation = Activation::none; }, "twice 26214 of 26214",
       "twice fused streamed 13981 of 13981"},
      {"a dense target", [](Call& call) { call.in.labels = false, call.in.target.dtype = DType::float32; },
       "twice 26214 of 26214", "twice fused streamed 13981 of 13981"},
      {"pooled", [](Call& call) { call.options.pooled = true; }, "26214", "streamed 26214"},
  };
  for (const Row& row : rows) {
    Call value = plain_call(kMebi, 10, 1), gradient = value;
    value.steps = kStatistics | kFinalize;
    row.change(value), row.change(gradient);
    expect_strategy(row.name, value, 64, row.value);
    expect_strategy(std::string(row.name) + ", gradient", gradient, 64, row.both);
  }
}

}  // namespace

void test_strategy() {
  test_many_samples();
  test_memory();
  test_options();
}

}  // namespace warpdice::test
