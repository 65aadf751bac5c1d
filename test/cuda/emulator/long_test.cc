// Arrays of more than 2^31 and 2^32 elements, whose indices do not fit 32 bits. The system gives them memory only where
// they are touched, and of every large launch only the last two blocks run: they read and write the ends of the arrays.
// All logits are 0. The last five voxels have the last class, all others the first (in a dense target: none). The
// counts of the metrics and the resampling are run in the same way.
#include <sys/mman.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "cuda/engine.h"
#include "cuda/kernels/count.h"
#include "cuda/kernels/resample.h"
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
  DType target = DType::float16;  // of a dense target; another one than the predictions' is converted first
};

int failures = 0;

void expect(bool holds, const char* name, const char* what) {
  if (holds) return;
  failures++;
  std::printf("FAILED %s: %s\n", name, what);
}
void expect(bool holds, const Long& test, const char* what) { expect(holds, test.name, what); }

uint16_t bits_at(const Sparse& array, int64_t i) { return reinterpret_cast<const uint16_t*>(array.data)[i]; }

void run(const Long& test) {
  const int64_t C = test.C, S = test.S, elements = C * S;
  const auto place = [&](int64_t c, int64_t s) { return test.channels_last ? s * C + c : c * S + s; };
  const size_t bytes = static_cast<size_t>(elements) * sizeof(uint16_t);
  Sparse logits(bytes), gradient(bytes), target(test.dense ? bytes : static_cast<size_t>(S)), target_gradient(bytes);
  const uint16_t one = test.target == DType::float16 ? simt::float_to_half(1) : simt::float_to_bfloat16(1);
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
  call.in.target = {target.data, test.dense ? test.target : DType::uint8};
  call.statistics = statistics.data();
  call.value = value.data();
  call.faults = &faults;
  call.grad.data = gradient.data;
  call.grad.dtype = DType::float16;
  call.target_grad.data = target_gradient.data;
  call.target_grad.dtype = test.target;
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

struct LongCount {
  const char* name;
  Decision decision;
  int64_t C, S;  // S: a multiple of the voxels of a block, so that the last block has the last voxels
  bool dense = false, channels_last = false;
};

/// The last five voxels are predicted right, as the last class.
void run(const LongCount& test) {
  const int64_t C = test.C, S = test.S;
  const bool maps = test.decision == Decision::labels;
  const size_t bytes = static_cast<size_t>(C * S) * sizeof(uint16_t), voxels = static_cast<size_t>(S);
  Sparse predictions(maps ? voxels : bytes), target(test.dense ? bytes : voxels);
  const uint16_t one = simt::float_to_half(1);
  const auto label = static_cast<char>(C == 1 ? 1 : C - 1);
  for (int64_t s = S - kLast; s < S; s++) {
    const int64_t place = test.channels_last ? s * C + C - 1 : (C - 1) * S + s;
    if (maps) predictions.data[s] = label;
    else reinterpret_cast<uint16_t*>(predictions.data)[place] = one;
    if (test.dense) reinterpret_cast<uint16_t*>(target.data)[place] = one;
    else target.data[s] = label;
  }
  cuda::DeviceCount call;
  call.decision = test.decision;
  call.threshold = 0.25;
  call.in.samples = 1;
  call.in.classes = C;
  call.in.voxels = S;
  call.in.channels_last = test.channels_last;
  call.in.labels = !test.dense;
  call.in.predictions = {predictions.data, maps ? DType::uint8 : DType::float16};
  call.in.target = {target.data, test.dense ? DType::float16 : DType::uint8};
  std::vector<unsigned long long> counts(static_cast<size_t>(call.cells()));
  LabelFault faults[2];
  call.counts = counts.data();
  call.faults = faults;
  Sparse workspace(workspace_bytes(call));
  expect(enqueue(call, workspace.data, nullptr) == cudaSuccess, test.name, simt::last_fault().c_str());
  const int64_t right = test.decision == Decision::threshold ? call.cells() - 1 : (C - 1) * (C + 1) + C - 1;
  expect(counts[static_cast<size_t>(right)] == kLast, test.name, "the last voxels");
}

/// The end of a large array is resampled to the end of another: rows of these sizes.
void run_resampling(int64_t from_size, int64_t to_size) {
  const char* name = "resampling";
  constexpr int64_t kRows = 65536;
  Sparse from(static_cast<size_t>(kRows * from_size)), to(static_cast<size_t>(kRows * to_size));
  for (int64_t i = 1; i <= 64; i++) from.data[kRows * from_size - i] = 7;
  Resampling shape;
  shape.from_sizes = {kRows, from_size};
  shape.to_sizes = {kRows, to_size};
  expect(cuda::enqueue_resample(shape, from.data, to.data, nullptr) == cudaSuccess, name, simt::last_fault().c_str());
  const int64_t sevens = 64 * to_size / from_size;
  const char* end = to.data + kRows * to_size;
  for (int64_t i = 1; i <= sevens; i++) expect(end[-i] == 7, name, "the end");
  expect(end[-sevens - 1] == 0, name, "what is before the end");
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
      {"a converted target", 2, kMany / 2 + 4099, Activation::softmax, false, true, false, DType::bfloat16},
      {"one class, beyond 2^32", 1, 2 * kMany + 4099, Activation::sigmoid},
      {"two classes, beyond 2^32", 2, kMany + 4099, Activation::softmax},
      {"channels last, beyond 2^32", 2, kMany + 4099, Activation::softmax, true},
  };
  for (const Long& test : tests) run(test);
  constexpr int64_t kBlock = 32768;
  const LongCount counts[] = {
      {"counts of label maps", Decision::labels, 3, kMany + kBlock},
      {"counts by argmax", Decision::argmax, 2, kMany / 2 + kBlock},
      {"counts by argmax, channels last, dense", Decision::argmax, 2, kMany / 2 + kBlock, true, true},
      {"counts by threshold", Decision::threshold, 2, kMany / 2 + kBlock},
      {"counts by threshold, dense", Decision::threshold, 2, kMany / 2 + kBlock, true},
      {"counts by threshold, channels last", Decision::threshold, 2, kMany / 2 + kBlock, false, true},
  };
  for (const LongCount& test : counts) run(test);
  run_resampling(32771, 32771);
  run_resampling(65542, 32771);
  std::printf("%zu cases, %d failures\n", std::size(tests) + std::size(counts) + 2, failures);
  return failures == 0 ? 0 : 1;
}
