// Compares the CUDA kernels in the emulator with reference.h, in combinations of the lists in cases.h, and tests their
// other promises. Prints what differs. The exit status is 1 when something does.
//
//   kernels_test [order] [every] [text]
//
// The cases take turns in the scheduler's three orders: forward, backward, random. `order` (0, 1 or 2) moves every case
// on by so many orders, so that runs with 0, 1 and 2 together try them all. Of the cases whose name contains `text`,
// every `every`th one runs.
#include <cstdio>
#include <cstdlib>

#include "cases.h"

namespace {

using namespace warpdice;
using namespace cases;

int failures = 0;
std::string test_name;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  if (failures > 20) return;
  std::printf("FAILED %s: %s\n", test_name.c_str(), what.c_str());
  std::fflush(stdout);  // shown even if the next case never ends
}

void enqueue(const cuda::DeviceCall& call) {
  const char* reason = cuda::unsupported(call);
  expect(!reason, reason ? reason : "");
  if (reason) return;
  Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
  const cudaError_t status = cuda::enqueue(call, workspace.data(), nullptr);
  expect(status == cudaSuccess, "error " + std::to_string(status) + " " + simt::last_fault());
}

double unit_roundoff(DType dtype) {
  const double units[] = {0x1p-24, 0x1p-53, 0x1p-11, 0x1p-8};
  return units[static_cast<int>(dtype)];
}

bool is_half(DType dtype) { return size_of(dtype) == 2; }

/// How far sums and losses may be off.
double tolerance_of(DType dtype) { return dtype == DType::float64 ? 1e-12 : 1e-6; }

void compare_statistics(const Buffer& got, const reference::Rows& want, const Case& test,
                        const cuda::DeviceCall& call) {
  const Inputs& in = call.in;
  const bool made[] = {true, true, true, true, true, in.cross_entropy, in.uniform, in.focal};
  for (size_t i = 0; i < want.size(); i++) {
    for (size_t k = 0; k < reference::kSums; k++) {
      const double sum = got.get(i * reference::kSums + k);
      const double wanted = made[k] ? static_cast<double>(want[i].x[k]) : 0;
      expect(std::fabs(sum - wanted) <= tolerance_of(test.dtype) * std::fmax(std::fabs(wanted), 1e-3),
             "sum " + std::to_string(k) + " of row " + std::to_string(i) + " is " + std::to_string(sum) + ", not " +
                 std::to_string(wanted));
    }
  }
}

/// A loss is 1 - r: with few voxels the rounding of r is an error relative to 1.
void compare_value(const Buffer& got, const reference::Array& want, const Case& test) {
  const double scale = test.shape.S < 32 ? 1 : 0.1;
  for (size_t i = 0; i < want.size(); i++) {
    expect(std::fabs(got.get(i) - want[i]) <= tolerance_of(test.dtype) * std::fmax(std::fabs(want[i]), scale),
           "value " + std::to_string(i) + " is " + std::to_string(got.get(i)) + ", not " + std::to_string(want[i]));
  }
}

/// added: what the gradient was added to.
void compare_gradient(const char* what, const Buffer& got, const reference::Array& want, double added, const Case& test,
                      const reference::Problem& x) {
  double largest = 0;
  for (double g : want) largest = std::fmax(largest, std::fabs(g));
  // The coefficients of the reference are differences.
  const double tolerance = test.dtype == DType::float64 ? 1e-9 : 1e-5, u = unit_roundoff(got.dtype);
  const double least = is_half(got.dtype) ? 0x1p-24 : 0;
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t c = 0; c < x.C; c++) {
      for (int64_t s = 0; s < x.S; s++) {
        const double wanted = want[x.at(n, c, s)] + added, g = got.get(Arrays::lies_at(test, n, c, s));
        expect(std::fabs(g - wanted) <= tolerance * largest + u * std::fabs(wanted) + least,
               what + std::string(" at ") + std::to_string(n) + "," + std::to_string(c) + "," + std::to_string(s) +
                   " is " + std::to_string(g) + ", not " + std::to_string(wanted));
        if (x.w[static_cast<size_t>(n * x.S + s)] == 0) expect(g == added, "no weight, a gradient");
      }
    }
  }
}

void run(const Case& test) {
  Arrays arrays(test);
  reference::Problem& x = arrays.x;
  cuda::DeviceCall call = call_of(test, arrays);
  const bool accumulates = test.bit(8), in_place = test.bit(9) && !accumulates;
  const bool widens = is_half(test.dtype) && test.bit(10) && !in_place;
  const bool for_target = test.target >= Target::dense_like;
  constexpr double kBefore = 0.25;
  const size_t elements = Arrays::elements(test), rows = static_cast<size_t>(x.groups() * x.C);
  Buffer value(DType::float64, rows), statistics(DType::float64, rows * kSumCount), device_scale(DType::float32, 1);
  Buffer gradient(widens ? DType::float32 : test.dtype, elements, test.bit(13)),
      target_gradient(arrays.target.dtype, elements);
  for (size_t i = 0; i < elements && accumulates; i++) gradient.set(i, kBefore);
  LabelFault faults{1, 1, 1};
  call.scale = x.scale / 16;
  device_scale.set(0, 16);
  call.device_scale = device_scale.operand();
  call.statistics = statistics.doubles();
  call.value = value.doubles();
  call.faults = &faults;
  const Buffer& out = in_place ? arrays.predictions : gradient;
  call.grad.data = out.data();
  call.grad.dtype = gradient.dtype;
  call.grad.accumulate = accumulates;
  if (for_target) call.steps |= kTargetGradient;
  call.target_grad.data = target_gradient.data();
  call.target_grad.dtype = target_gradient.dtype;
  enqueue(call);

  const reference::Result want = reference::solve(x);
  expect(faults.count == 0, "valid labels are faults");
  compare_statistics(statistics, want.sums, test, call);
  compare_value(value, want.value, test);
  compare_gradient("gradient", out, want.gradient, accumulates ? kBefore : 0, test, x);
  if (for_target) compare_gradient("gradient of the target", target_gradient, want.target_gradient, 0, test, x);
}

/// Runs cases, which take turns in the scheduler's orders.
struct CaseRunner {
  unsigned further, every;
  std::string text;
  unsigned number = 0, named = 0, done = 0;

  void operator()(Case test) {
    test.number = ++number;
    if (test.name().find(text) == std::string::npos || ++named % every != 0) return;
    done++;
    const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
    simt::config().order = orders[(number + further) % 3];
    simt::config().seed = number + further;
    test_name = test.name();
    run(test);
  }
};

template <class Visit>
void for_dtypes_activations_layouts(Visit visit) {
  for (DType dtype : kDTypes) {
    for (reference::Activation activation : kActivations) {
      for (bool channels_last : {false, true}) visit(dtype, activation, channels_last);
    }
  }
}

/// Every loss with every dtype, target, activation and layout. Shapes take turns.
void run_losses(CaseRunner& one) {
  size_t turn = 0;
  for (const LossCase& loss : kLosses) {
    for (Target target : kTargets) {
      for_dtypes_activations_layouts([&](DType dtype, reference::Activation activation, bool channels_last) {
        Case test{&loss, dtype, target, activation, channels_last, kShapes[0], 0};
        if (!test.makes_sense()) return;  // with any shape
        do test.shape = kShapes[turn++ % std::size(kShapes)];
        while (!test.makes_sense());
        one(test);
      });
    }
  }
}

/// Every shape with every dtype, activation and layout. Targets and two losses take turns.
void run_shapes(CaseRunner& one) {
  size_t turn = 0;
  const LossCase &all = kLosses[std::size(kLosses) - 1], &costs = kLosses[6];
  for_dtypes_activations_layouts([&](DType dtype, reference::Activation activation, bool channels_last) {
    for (const Shape& shape : kShapes) {
      const LossCase& loss = turn % 4 == 3 && activation != reference::Activation::none ? all : kLosses[0];
      const Case test{&loss, dtype, kTargets[turn++ % 5], activation, channels_last, shape, 0};
      if (test.makes_sense()) one(test);
    }
    if (activation != reference::Activation::softmax) return;
    for (const Shape& shape : kWideShapes) {
      for (const LossCase* loss : {&kLosses[0], &all, &costs}) {
        one({loss, dtype, kTargets[turn++ % 5], activation, channels_last, shape, 0});
      }
    }
  });
}

/// Predictions and a dense target of every pair of dtypes, in both geometries of the gradient.
void run_dtypes(CaseRunner& one) {
  for (DType dtype : kDTypes) {
    for (int i = 0; i < 3; i++) {
      for (const Shape& shape : {Shape{1, 3, 1033}, Shape{2, 19, 31}}) {
        one({kLosses + i, dtype, Target::dense_unlike, reference::Activation::sigmoid, i == 1, shape, 0});
      }
    }
  }
}

// --- promises that the combinations do not show -----------------------------------------------------------

/// A case of float32 softmax Dice from labels, without the options that take turns.
Case plain_case(Shape shape, Target target = Target::labels_int32) {
  return {kLosses, DType::float32, target, reference::Activation::softmax, false, shape, 1};
}

/// Labels that name no class are counted, and the smallest index is kept, in every order of the blocks.
void invalid_labels() {
  for (int64_t C : {3, 20}) {
    for (bool channels_last : {false, true}) {
      test_name = "invalid labels, C=" + std::to_string(C);
      Case test = plain_case({2, C, 5000});
      test.channels_last = channels_last;
      Arrays arrays(test);
      cuda::DeviceCall call = call_of(test, arrays);
      call.in.has_ignore = false;
      for (size_t i = 0; i < arrays.target.count; i++) arrays.target.set(i, static_cast<double>(i % 3));
      arrays.target.set(9000, static_cast<double>(C));
      arrays.target.set(4321, -7);
      arrays.target.set(4400, 1000);
      Buffer value(DType::float64, static_cast<size_t>(2 * C));
      LabelFault faults;
      call.steps = kStatistics | kFinalize;
      call.value = value.doubles();
      call.faults = &faults;
      enqueue(call);
      expect(faults.count == 3, "count is " + std::to_string(faults.count));
      expect(faults.first_index == 4321 && faults.first_value == -7, "first is " + std::to_string(faults.first_index));
    }
  }
}

/// Values of a dense uint8 target other than 0 and 1 are counted in the same way.
void invalid_bytes() {
  for (int64_t C : {3, 20}) {
    test_name = "invalid bytes, C=" + std::to_string(C);
    Case test = plain_case({1, C, 300}, Target::dense_uint8);
    Arrays arrays(test);
    cuda::DeviceCall call = call_of(test, arrays);
    call.in.weight = {};
    arrays.target.set(777, 2);
    arrays.target.set(200, 255);
    Buffer value(DType::float64, static_cast<size_t>(C));
    LabelFault faults;
    call.steps = kStatistics | kFinalize;
    call.value = value.doubles();
    call.faults = &faults;
    enqueue(call);
    expect(faults.count == 2, "count is " + std::to_string(faults.count));
    expect(faults.first_index == 200 && faults.first_value == 255, "first is " + std::to_string(faults.first_index));
  }
}

/// In a one-class mask of floats, a voxel with the value to ignore is left out.
void ignored_mask_values() {
  test_name = "a mask of floats with values to ignore";
  Case test = plain_case({1, 1, 300}, Target::dense_like);
  test.activation = reference::Activation::sigmoid;
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  reference::Problem& x = arrays.x;
  call.in.has_ignore = true;
  call.in.ignore_index = 255;
  for (size_t i = 0; i < 300; i += 7) {
    arrays.target.set(i, 255);
    x.w[i] = 0;
  }
  Buffer value(DType::float64, 1), gradient(DType::float32, 300);
  call.value = value.doubles();
  call.grad.data = gradient.data();
  enqueue(call);
  x.scale = 1;
  const reference::Result want = reference::solve(x);
  compare_value(value, want.value, test);
  compare_gradient("gradient", gradient, want.gradient, 0, test, x);
}

/// Every order of threads and blocks gives the same bits, also on a workspace that was used before.
void same_bits() {
  for (Shape shape : {Shape{2, 4, 9000}, Shape{1, 19, 9000}, Shape{3, 1, 40000}}) {
    test_name = "same bits, C=" + std::to_string(shape.C);
    Case test = plain_case(shape);
    if (shape.C == 1) test.activation = reference::Activation::sigmoid;
    Arrays arrays(test);
    cuda::DeviceCall call = call_of(test, arrays);
    const size_t elements = Arrays::elements(test);
    std::string first;
    Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
    for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random, simt::Order::random}) {
      simt::config().order = order;
      simt::config().seed++;
      Buffer value(DType::float64, static_cast<size_t>(shape.N * shape.C)), gradient(DType::float32, elements);
      call.value = value.doubles();
      call.grad.data = gradient.data();
      expect(cuda::enqueue(call, workspace.data(), nullptr) == cudaSuccess, simt::last_fault());
      std::string bits(gradient.data(), elements * sizeof(float));
      bits.append(value.data(), sizeof(double));
      if (first.empty()) first = bits;
      expect(bits == first, "not the same bits");
    }
  }
}

/// Rows so long that a thread takes several voxels one after the other, and a block several tiles.
void long_rows() {
  Case test = plain_case({1, 1, 530000}, Target::labels_uint8);
  test.activation = reference::Activation::sigmoid;
  test_name = test.name();
  run(test);
  test = plain_case({1, 3, 132000}, Target::labels_uint8);
  test.channels_last = true;
  test_name = test.name();
  run(test);
}

/// A call on some of the samples, with the statistics of all, gives that part of the whole gradient.
void merged_statistics() {
  test_name = "a part of merged statistics";
  Case test = plain_case({3, 3, 200});
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  call.options.pooled = false;
  call.options.reduction = Reduction::mean;
  const size_t elements = Arrays::elements(test), part = elements / 3;
  Buffer statistics(DType::float64, 3 * 3 * kSumCount), value(DType::float64, 9);
  Buffer whole(DType::float32, elements), last(DType::float32, part);
  call.statistics = statistics.doubles();
  call.value = value.doubles();
  call.grad.data = whole.data();
  enqueue(call);
  call.steps = kGradient;
  call.statistics_samples = 3;
  call.sample_offset = 2;
  call.in.samples = 1;
  call.in.predictions.data = arrays.predictions.data() + 2 * part * sizeof(float);
  call.in.target.data = arrays.target.data() + 2 * 200 * sizeof(int32_t);
  if (call.in.weight.data) call.in.weight.data = arrays.weight.data() + 2 * 200 * size_of(arrays.weight.dtype);
  call.grad.data = last.data();
  enqueue(call);
  for (size_t i = 0; i < part; i++) expect(last.get(i) == whole.get(2 * part + i), "gradient " + std::to_string(i));
}

/// What does not fit a GPU is refused with a sentence, before the engine touches any memory.
void refusals() {
  test_name = "refusals";
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = 1;
  call.in.classes = 20000;
  call.in.voxels = 2;
  call.in.labels = false;
  call.in.activation = Activation::softmax;
  expect(cuda::unsupported(call) != nullptr, "20000 classes of a softmax are taken");
  expect(cuda::enqueue(call, nullptr, nullptr) == cudaErrorNotSupported, "and enqueued");
  call.in.activation = Activation::sigmoid;
  expect(cuda::unsupported(call) == nullptr, "20000 classes of a sigmoid are refused");
  call.steps |= kTargetGradient;  // which is made by tiles
  expect(cuda::unsupported(call) != nullptr, "the gradient of a target of 20000 classes is taken");
  expect(cuda::enqueue(call, nullptr, nullptr) == cudaErrorNotSupported, "and enqueued");
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  CaseRunner one{further, every, argc > 3 ? argv[3] : ""};
  run_losses(one);
  run_shapes(one);
  run_dtypes(one);
  for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random}) {
    simt::config().order = order;
    invalid_labels();
    invalid_bytes();
  }
  ignored_mask_values();
  same_bits();
  long_rows();
  merged_statistics();
  refusals();
  std::printf("%u cases, %d failures\n", one.done, failures);
  return failures == 0 ? 0 : 1;
}
