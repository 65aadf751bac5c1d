// Arrays of more than 2^31 elements, whose indices do not fit 32 bits. The system gives them memory only where they are
// touched, and of every large launch only the last two blocks run: they read and write the ends of the arrays. All
// logits are 0. The last five voxels have the last class, all others the first (in a dense target: none).
#include <sys/mman.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "cuda/engine.h"
#include "simt.h"

namespace {

using namespace warpdice;

constexpr int64_t kLast = 5;

/// Zeros, which take memory only where they are touched.
struct Sparse {
  size_t size_bytes;
  char* data;

  explicit Sparse(size_t size)
      : size_bytes(size),
        data(static_cast<char*>(
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {
    if (data != MAP_FAILED) return;
    std::perror("mmap");
    std::exit(2);
  }
  Sparse(const Sparse&) = delete;
  Sparse& operator=(const Sparse&) = delete;
  ~Sparse() { munmap(data, size_bytes); }
};

struct Long {
  const char* name;
  int64_t C, S;
  Activation activation;
  bool channels_last = false, dense = false, several_slabs = false;
};

int failures = 0;

void expect(bool holds, const Long& test, const char* what) {
  if (holds) return;
  failures++;
  std::printf("FAILED %s: %s\n", test.name, what);
}

uint16_t bits_at(const Sparse& array, int64_t i) { return reinterpret_cast<const uint16_t*>(array.data)[i]; }

void run(const Long& test) {
  const int64_t C = test.C, S = test.S, elements = C * S;
  const auto place = [&](int64_t c, int64_t s) { return test.channels_last ? s * C + c : c * S + s; };
  const size_t bytes = static_cast<size_t>(elements) * sizeof(uint16_t);
  Sparse logits(bytes), gradient(bytes), target(test.dense ? bytes : static_cast<size_t>(S)), target_gradient(bytes);
  const uint16_t one = simt::float_to_half(1);
  for (int64_t s = S - kLast; s < S; s++) {
    if (test.dense) reinterpret_cast<uint16_t*>(target.data)[place(C - 1, s)] = one;
    else target.data[s] = static_cast<char>(C == 1 ? 1 : C - 1);
  }
  std::vector<double> statistics(static_cast<size_t>(C) * kSumCount), value(1);
  LabelFault faults;
  cuda::DeviceCall call;
  call.in.samples = call.statistics_samples = 1;
  call.in.classes = C;
  call.in.voxels = S;
  call.in.activation = test.activation;
  call.in.channels_last = test.channels_last;
  call.in.labels = !test.dense;
  call.in.predictions = {logits.data, DType::float16};
  call.in.target = {target.data, test.dense ? DType::float16 : DType::uint8};
  call.statistics = statistics.data();
  call.value = value.data();
  call.faults = &faults;
  call.grad.data = gradient.data;
  call.grad.dtype = DType::float16;
  call.target_grad.data = target_gradient.data;
  call.target_grad.dtype = DType::float16;
  const auto enqueue = [&](uint32_t steps) {
    call.steps = steps;
    Sparse workspace(cuda::workspace_bytes(call));  // so that the blocks that do not run have sums of 0
    expect(cuda::enqueue(call, workspace.data, nullptr) == cudaSuccess, test, simt::last_fault().c_str());
  };

  enqueue(kStatistics);
  const double p = test.activation == Activation::softmax ? 1.0 / static_cast<double>(C) : 0.5;
  const double* last = statistics.data() + (C - 1) * kSumCount;
  expect(last[2] == kLast, test, "the sum of t");
  expect(std::fabs(last[0] - kLast * p) < 1e-6, test, "the sum of p*t");
  expect(faults.count == 0, test, "labels are wrong");

  // Other statistics, for a gradient that half precision can represent.
  for (int64_t c = 0; c < C; c++) {
    double* sums = statistics.data() + c * kSumCount;
    sums[0] = 1;
    sums[1] = 4;
    sums[2] = sums[3] = 4;
  }
  enqueue(test.dense ? kGradient | kTargetGradient : kGradient);
  const uint16_t before = bits_at(gradient, place(C - 1, S - kLast - 1)),
                 after = bits_at(gradient, place(C - 1, S - 1));
  expect(after != 0 && before != after, test, "the gradient's end");
  expect(bits_at(gradient, place(C - 1, S - kLast)) == after, test, "the gradient depends on more than the label");
  if (test.dense) expect(bits_at(target_gradient, place(C - 1, S - 1)) != 0, test, "the end of dL/dt");
  if (test.dense || test.several_slabs) return;  // only blocks of the first slab look for faults, and they do not run
  target.data[S - 1] = 99;
  enqueue(kStatistics);
  expect(faults.count == 1 && faults.first_index == S - 1 && faults.first_value == 99, test, "the fault's place");
}

}  // namespace

int main() {
  simt::config().last_blocks = 2;
  constexpr int64_t kMany = int64_t{1} << 31;
  const Long tests[] = {
      {"one class", 1, kMany + 4099, Activation::sigmoid},
      {"two classes", 2, kMany / 2 + 4099, Activation::softmax},
      {"channels last", 2, kMany / 2 + 4099, Activation::softmax, true},
      {"19 classes by tiles", 19, kMany / 19 + 4099, Activation::softmax},
      {"slabs of 40 classes", 40, kMany / 40 + 4099, Activation::sigmoid, false, false, true},
      {"a dense target", 2, kMany / 2 + 4099, Activation::softmax, false, true},
  };
  for (const Long& test : tests) run(test);
  std::printf("%zu cases, %d failures\n", std::size(tests), failures);
  return failures == 0 ? 0 : 1;
}
