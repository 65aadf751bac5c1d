// Whole calls, with every strategy, against the same steps done one by one over the whole batch: bit for bit.
// A cache of a few kilobytes stands for the real one, so that small calls do what large ones do.
#include "cpu/run.h"

#include <functional>
#include <set>
#include <string>

#include "check.h"
#include "cpu/engine.h"

namespace warpdice::test {
namespace {

using cpu::Capabilities;
using cpu::Strategy;

constexpr int64_t kSamples = 7, kClasses = 3;
constexpr uint32_t kAllSteps = kStatistics | kFinalize | kGradient;

struct Case {
  std::string name;
  std::function<void(Call&)> change = [](Call&) {};
  int64_t voxels = 1031;
  DType dtype = DType::float32, grad_dtype = DType::float32;
  bool dense = false, weighted = false, in_place = false;
};

/// What a call reads.
struct Arrays {
  Buffer predictions, target;
  std::vector<float> weight;
  std::vector<double> upstream;

  explicit Arrays(const Case& c)
      : predictions(c.dtype, kSamples * kClasses * c.voxels),
        target(c.dense ? DType::float32 : DType::uint8, kSamples * c.voxels * (c.dense ? kClasses : 1)) {
    Random random;
    for (int64_t i = 0; i < kSamples * kClasses * c.voxels; i++) predictions.set(i, 0.001 + 0.998 * random.next());
    for (int64_t i = 0; i < kSamples * c.voxels; i++) {
      // Class 2 is in every other sample only.
      const int64_t present = i / c.voxels % 2 ? kClasses : kClasses - 1;
      const auto label = static_cast<int64_t>(random.next() * static_cast<double>(present));
      if (!c.dense) target.set(i, static_cast<double>(label));
      for (int64_t k = 0; c.dense && k < kClasses; k++) {
        target.set((i / c.voxels * kClasses + k) * c.voxels + i % c.voxels, random.next());
      }
      if (c.weighted) weight.push_back(static_cast<float>(random.next()));
    }
    for (int64_t i = 0; i < kSamples * kClasses; i++) upstream.push_back(random.next() - 0.5);
  }
};

/// What a call writes.
struct Results {
  std::vector<Sums> sums;
  std::vector<double> value, parts, per_class;
  Buffer grad, target_grad;

  Results(const Case& c, const Arrays& arrays)
      : sums(kSamples * kClasses),
        value(sums.size(), 7),
        parts(sums.size() * kPartCount, 7),
        per_class(sums.size(), 7),
        grad(c.grad_dtype, kSamples * kClasses * c.voxels),
        target_grad(DType::float32, kSamples * kClasses * c.voxels) {
    for (int64_t i = 0; i < kSamples * kClasses * c.voxels; i++) grad.set(i, 0.25), target_grad.set(i, 0.5);
    if (c.in_place) grad = arrays.predictions;
  }

  bool operator==(const Results& other) const {
    return std::memcmp(sums.data(), other.sums.data(), sums.size() * sizeof(Sums)) == 0 && value == other.value &&
           parts == other.parts && per_class == other.per_class && grad.bytes == other.grad.bytes &&
           target_grad.bytes == other.target_grad.bytes;
  }
};

Call make_call(const Case& c, const Arrays& arrays, Results& results) {
  Call call;
  call.steps = kAllSteps;
  call.in.samples = kSamples, call.in.classes = kClasses, call.in.voxels = c.voxels;
  call.in.activation = Activation::softmax;
  call.in.labels = !c.dense;
  call.in.predictions = arrays.predictions.operand();
  call.in.target = arrays.target.operand();
  if (c.weighted) call.in.weight = {arrays.weight.data(), DType::float32};
  call.scale = 1.5;
  c.change(call);
  if (call.options.reduction == Reduction::none) call.upstream = arrays.upstream.data();
  call.statistics = &results.sums[0].intersection;
  call.value = results.value.data();
  call.parts = results.parts.data();
  call.per_class = results.per_class.data();
  call.grad.data = results.grad.bytes.data();
  call.grad.dtype = c.grad_dtype;
  call.target_grad.data = results.target_grad.bytes.data();
  call.target_grad.dtype = DType::float32;
  if (c.in_place) call.in.predictions.data = call.grad.data;
  return call;
}

/// The steps over the whole batch. Nothing is kept and nothing streamed.
void do_steps(const Call& call) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes, groups = call.groups();
  std::vector<Sums> sums(static_cast<size_t>(N * C));
  cpu::statistics(in, sums.data());
  for (int64_t i = C; call.options.pooled && i < N * C; i++)
    add(sums[static_cast<size_t>(i % C)], sums[static_cast<size_t>(i)]);
  std::memcpy(call.statistics, sums.data(), static_cast<size_t>(groups * C) * sizeof(Sums));
  finalize_value(call.options, groups, C, sums.data(), call.value, call.parts, call.per_class);
  std::vector<Coefficients> coefficients(static_cast<size_t>(groups * C));
  finalize_coefficients(call.options, C, sums.data(), totals_of_all(call.options, groups, C, sums.data()), call.scale,
                        call.upstream, coefficients.data(), 0, groups);
  if (call.steps & kTargetGradient) {
    cpu::target_gradient(in, coefficients.data(), call.options.pooled, call.target_grad);
  }
  cpu::gradient(in, coefficients.data(), call.options.pooled, call.grad);
}

/// Caches that hold nothing, one sample, five and all of them, with vectors of each width; and scratch memory for the
/// sums of one sample, three, and all of them.
std::vector<Capabilities> all_capabilities(const Case& c) {
  const int64_t sample_bytes = kClasses * c.voxels * static_cast<int64_t>(size_of(c.dtype) + size_of(c.grad_dtype));
  std::vector<Capabilities> all;
  for (const int vector_bytes : {16, 32, 64}) {
    for (const int64_t held : {0, 1, 5, 7}) {
      Capabilities one;
      one.vector_bytes = vector_bytes;
      one.cache_bytes = held * sample_bytes;
      all.push_back(one);
      for (const int64_t samples : {1, 3}) {
        one.sums_bytes = samples * kClasses * static_cast<int64_t>(sizeof(Sums) + sizeof(Coefficients));
        if (held != 0) all.push_back(one);
      }
    }
  }
  return all;
}

std::string text(const Strategy& s) {
  return std::string(s.sums_twice ? "twice " : "") + (s.fuses_steps ? "fused " : "") +
         (s.counts_labels ? "counted " : "") + (s.reuses_probabilities ? "reused " : "") +
         (s.streams ? "streamed " : "") + std::to_string(s.samples_at_once) +
         (s.samples_held < kSamples ? " of " + std::to_string(s.samples_held) : "");
}

/// Sums and gradient to float32's precision: of halves whose gradient is float32, see statistics() in engine.h.
void expect_alike(const std::string& name, const Results& actual, const Results& expected) {
  for (size_t i = 0; i < actual.sums.size(); i++) {
    expect_close(name.c_str(), actual.sums[i].intersection, expected.sums[i].intersection, 1e-3);
    expect_close(name.c_str(), actual.sums[i].prediction, expected.sums[i].prediction, 1e-3);
  }
  const auto size = static_cast<int64_t>(actual.grad.bytes.size() / sizeof(float));
  for (int64_t i = 0; i < size; i++) expect_close(name.c_str(), actual.grad.get(i), expected.grad.get(i), 1e-7);
}

void compare(const Case& c, std::set<std::string>& seen) {
  const Arrays arrays(c);
  Results expected(c, arrays);
  do_steps(make_call(c, arrays, expected));
  for (const int threads : {1, 3}) {
    cpu::set_threads(threads);
    for (const Capabilities& capabilities : all_capabilities(c)) {
      Results actual(c, arrays);
      const LabelFault fault = cpu::run(make_call(c, arrays, actual), capabilities);
      const std::string strategy = text(*cpu::last_strategy());
      seen.insert(strategy);
      const std::string name = c.name + ", " + strategy;
      expect_close(name.c_str(), static_cast<double>(fault.count), 0, 0);
      const bool rounds_elsewhere =
          size_of(c.dtype) < size_of(c.grad_dtype) && cpu::last_strategy()->reuses_probabilities;
      if (rounds_elsewhere) expect_alike(name, actual, expected);
      else expect_close(name.c_str(), actual == expected, 1, 0);
    }
  }
}

/// The gradient of samples 2 to 4 from the sums of all, as after an all-reduce.
void compare_offset(Reduction reduction) {
  const Case c{"sample offset", [&](Call& call) { call.options.reduction = reduction; }};
  const Arrays arrays(c);
  Results whole(c, arrays);
  do_steps(make_call(c, arrays, whole));
  for (const Capabilities& capabilities : all_capabilities(c)) {
    Results part = whole;
    for (uint8_t& byte : part.grad.bytes) byte = 0;
    Call call = make_call(c, arrays, part);
    const int64_t offset = 2 * kClasses * c.voxels * static_cast<int64_t>(sizeof(float)), size = offset / 2 * 3;
    call.steps = kGradient;
    call.in.samples = 3;
    call.sample_offset = 2;
    call.statistics_samples = kSamples;
    call.in.predictions.data = arrays.predictions.bytes.data() + offset;
    call.in.target.data = arrays.target.bytes.data() + 2 * c.voxels;
    call.grad.data = part.grad.bytes.data() + offset;
    cpu::run(call, capabilities);
    const auto from = [&](const Results& r) { return r.grad.bytes.data() + offset; };
    expect_close("the gradient from a sample on", std::memcmp(from(part), from(whole), static_cast<size_t>(size)), 0,
                 0);
    expect_close("and nothing else", part.grad.bytes.front() | part.grad.bytes.back(), 0, 0);
  }
}

/// An invalid label in the last sample: nothing is written, also where the first samples would have been done before.
void expect_untouched(bool in_place, bool counts_labels) {
  Case c;
  c.in_place = in_place;
  c.change = [&](Call& call) { call.options.absent = counts_labels ? Absent::skip : Absent::formula; };
  Arrays arrays(c);
  const int64_t at = kSamples * c.voxels - 5;
  arrays.target.set(at, 3), arrays.target.set(at + 2, 200);
  for (const Capabilities& capabilities : all_capabilities(c)) {
    Results actual(c, arrays);
    const Results before = actual;
    const LabelFault fault = cpu::run(make_call(c, arrays, actual), capabilities);
    expect_close("faults", static_cast<double>(fault.count), 2, 0);
    expect_close("the first fault's index", static_cast<double>(fault.first_index), static_cast<double>(at), 0);
    expect_close("the first fault's value", fault.first_value, 3, 0);
    expect_close("outputs of a call with faults", actual == before, 1, 0);
  }
}

/// A value that is no probability, in the last sample: no sums and no value are written, however few samples are held.
void expect_no_value(bool dense, const std::function<void(Call&)>& change) {
  Case c;
  c.dense = dense;
  c.change = change;
  Arrays arrays(c);
  const int64_t at = kSamples * kClasses * c.voxels - 5;
  (dense ? arrays.target : arrays.predictions).set(at, -2);
  for (const Capabilities& capabilities : all_capabilities(c)) {
    Results actual(c, arrays);
    const Results before = actual;
    const LabelFault fault = cpu::run(make_call(c, arrays, actual), capabilities);
    expect_close("faults", static_cast<double>(fault.count), 1, 0);
    expect_close("the fault's index", static_cast<double>(fault.first_index), static_cast<double>(at), 0);
    actual.grad = before.grad, actual.target_grad = before.target_grad;  // these may be written in part
    expect_close("values of a call with faults", actual == before, 1, 0);
  }
}

std::vector<Case> make_cases() {
  const DType f32 = DType::float32, f64 = DType::float64, f16 = DType::float16, bf16 = DType::bfloat16;
  const auto cross_entropy = [](Call& call) { call.options.cross_entropy_factor = 0.7, call.in.cross_entropy = true; };
  const auto focal = [](Call& call) { call.options.focal_factor = 0.6, call.in.focal = true; };
  const auto sigmoid = [](Call& call) { call.in.activation = Activation::sigmoid, call.options.sigmoid = true; };
  const auto skip = [](Call& call) { call.options.absent = Absent::skip; };
  const auto accumulate = [](Call& call) { call.grad.accumulate = call.target_grad.accumulate = true; };
  const auto pooled = [](Call& call) { call.options.pooled = true; };
  const auto none = [](Call& call) { call.options.reduction = Reduction::none; };
  const auto ignore = [](Call& call) { call.in.has_ignore = true, call.in.ignore_index = 1; };
  const auto class_weights = [](Call& call) {
    static const double weights[kClasses] = {1, 0.5, 2};
    call.options.class_weights = weights;
  };
  const auto both = [](auto one, auto other) { return [one, other](Call& call) { one(call), other(call); }; };
  const auto to_target = [](Call& call) { call.steps |= kTargetGradient; };
  const auto nothing = [](Call&) {};

  std::vector<Case> cases = {
      {"softmax"},
      {"rows that begin alike", nothing, 1040},
      {"several runs", nothing, 11100},
      {"interleaved", [](Call& call) { call.in.channels_last = true; }},
      {"probabilities", [](Call& call) { call.in.activation = Activation::none; }},
      {"sigmoid", sigmoid},
      {"float64", nothing, 1031, f64, f64},
      {"float16", nothing, 1031, f16, f16},
      {"bfloat16", nothing, 1031, bf16, bf16},
      {"sigmoid of float16 with a float32 gradient", sigmoid, 1031, f16, f32},
      {"minimum", [](Call& call) { call.in.overlap = Overlap::minimum; }},
      {"cross-entropy", cross_entropy},
      {"focal loss", focal},
      {"sum", [](Call& call) { call.options.reduction = Reduction::sum; }},
      {"none", none},
      {"none of groups", both(none, cross_entropy)},
      {"pooled", pooled},
      {"pooled, generalized", both(pooled, [](Call& call) { call.options.kind = LossKind::generalized; })},
      {"accumulate", accumulate},
      // Divisors that vary, and can be counted.
      {"skip", skip},
      {"skip, ignored voxels", both(skip, ignore)},
      {"generalized, worst",
       [](Call& call) { call.options.kind = LossKind::generalized, call.options.absent = Absent::worst; }},
      {"cross-entropy, ignored voxels", both(cross_entropy, ignore)},
      {"cross-entropy, class weights", both(cross_entropy, class_weights)},
      {"focal loss, ignored voxels", both(focal, ignore)},
  };
  const auto add = [&](const char* name, std::function<void(Call&)> change, bool dense, bool weighted, bool in_place) {
    Case c;
    c.name = name, c.change = change, c.dense = dense, c.weighted = weighted, c.in_place = in_place;
    cases.push_back(c);
  };
  // Divisors that vary and cannot be counted.
  add("skip, dense", skip, true, false, false);
  add("skip, weighted", skip, false, true, false);
  add("cross-entropy, weighted", cross_entropy, false, true, false);
  add("focal loss, dense and weighted", focal, true, true, false);
  add("dense", nothing, true, false, false);
  // Where gradients go.
  add("in place", nothing, false, false, true);
  add("in place, cross-entropy, weighted", cross_entropy, false, true, true);
  add("in place, focal loss", focal, false, false, true);
  add("in place, pooled", pooled, false, false, true);
  add("both gradients", to_target, true, false, false);
  add("both gradients, in place", to_target, true, false, true);
  add("both gradients, added", both(to_target, accumulate), true, true, false);
  add("both gradients, pooled", both(to_target, pooled), true, false, false);
  return cases;
}

}  // namespace

void test_run() {
  const int threads = cpu::threads();
  std::set<std::string> seen;
  for (const Case& c : make_cases()) compare(c, seen);
  for (const char* strategy : {"7",
                               "streamed 7",
                               "fused 1",
                               "fused 2",
                               "fused 7",
                               "fused streamed 1",
                               "fused streamed 2",
                               "fused reused 1",
                               "fused reused 2",
                               "fused reused 7",
                               "fused counted 7",
                               "fused counted streamed 1",
                               "fused counted streamed 2",
                               "fused counted reused 1",
                               "fused counted reused 2",
                               "fused counted reused 7",
                               "1 of 1",
                               "twice 3 of 3",
                               "twice fused reused 3 of 3",
                               "fused reused 1 of 1",
                               "fused counted streamed 2 of 3"}) {
    expect_close((std::string("some case is ") + strategy).c_str(), static_cast<double>(seen.count(strategy)), 1, 0);
  }
  for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) compare_offset(reduction);
  expect_no_value(true, [](Call&) {});
  expect_no_value(false, [](Call& call) { call.in.activation = Activation::none; });
  expect_no_value(true, [](Call& call) { call.steps |= kTargetGradient; });
  expect_no_value(true, [](Call& call) { call.options.pooled = true; });
  for (const bool in_place : {false, true}) {
    for (const bool counts_labels : {false, true}) expect_untouched(in_place, counts_labels);
  }
  cpu::set_threads(threads);
}

}  // namespace warpdice::test
