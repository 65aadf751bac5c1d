// gpu_tests [arguments of kernels_test, count_test, head_test and predict_test]: the tests of test/cuda/emulator on the
// first GPU. gpu_tests leak: 100,000 steps, after which the device has as much free memory as before. gpu_tests large
// [voxels]: more than 2^31 elements, whose numbers are known.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/engine.h"

int run_kernels_test(int argc, char** argv);
int run_count_test(int argc, char** argv);
int run_head_test(int argc, char** argv);
int run_predict_test(int argc, char** argv);

namespace {

using namespace warpdice;

bool succeeded(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return true;
  std::printf("%s failed with %s: %s\n", call, cudaGetErrorName(status), cudaGetErrorString(status));
  return false;
}

#define REQUIRE(call) \
  if (!succeeded(call, #call)) return 1

/// Prints which GPU it is, or why there is none. Returns whether there is one.
bool describe_gpu() {
  int driver = 0, runtime = 0, count = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    std::printf("no GPU: %s (the driver is for CUDA %d.%d, this program for %d.%d)\n", cudaGetErrorString(status),
                driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    return false;
  }
  cudaDeviceProp gpu;
  if (!succeeded(cudaGetDeviceProperties(&gpu, 0), "cudaGetDeviceProperties")) return false;
  std::printf("%s, compute capability %d.%d\n", gpu.name, gpu.major, gpu.minor);
  return true;
}

/// Value and gradient of softmax Dice on [2,4,1000], as many times as in a long training.
int leak_check() {
  constexpr int64_t kSteps = 100000, kElements = 2 * 4 * 1000, kVoxels = 2 * 1000;
  cudaStream_t stream;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  void *logits, *labels, *gradient, *value, *workspace;
  REQUIRE(cudaMalloc(&logits, kElements * sizeof(float)));
  REQUIRE(cudaMalloc(&labels, kVoxels));
  REQUIRE(cudaMalloc(&gradient, kElements * sizeof(float)));
  REQUIRE(cudaMalloc(&value, sizeof(double)));
  REQUIRE(cudaMemsetAsync(logits, 0, kElements * sizeof(float), stream));
  REQUIRE(cudaMemsetAsync(labels, 1, kVoxels, stream));
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = call.statistics_samples = 2;
  call.in.classes = 4;
  call.in.voxels = 1000;
  call.in.activation = Activation::softmax;
  call.in.predictions = {logits, DType::float32};
  call.in.target = {labels, DType::uint8};
  call.value = static_cast<double*>(value);
  call.grad.data = gradient;
  REQUIRE(cudaMalloc(&workspace, cuda::workspace_bytes(call)));

  size_t before = 0, after = 0, total = 0;
  for (int64_t step = -1000; step < kSteps; step++) {
    REQUIRE(cuda::enqueue(call, workspace, stream));
    if (step == -1) {
      REQUIRE(cudaDeviceSynchronize());
      REQUIRE(cudaMemGetInfo(&before, &total));
    }
  }
  REQUIRE(cudaDeviceSynchronize());
  REQUIRE(cudaMemGetInfo(&after, &total));
  std::printf("%lld steps: %lld bytes of device memory are gone\n", static_cast<long long>(kSteps),
              static_cast<long long>(before) - static_cast<long long>(after));
  return after < before ? 1 : 0;
}

bool expect(bool holds, const char* what) {
  if (!holds) std::printf("FAILED: %s\n", what);
  return holds;
}

/// Softmax of [1,2,S] logits that are all 0. Only the last five voxels have label 1. If an index beyond 2^31 were cut
/// to 32 bits, the sums would be wrong, or the end of the gradient would stay unwritten.
int large_check(int64_t S, bool channels_last) {
  constexpr int64_t kLast = 5;
  const size_t voxels = static_cast<size_t>(S), elements = 2 * voxels;
  void *logits, *labels, *gradient, *statistics, *value, *workspace;
  REQUIRE(cudaMalloc(&logits, elements * 2));
  REQUIRE(cudaMalloc(&labels, voxels));
  REQUIRE(cudaMalloc(&gradient, elements * 2));
  REQUIRE(cudaMalloc(&statistics, 2 * kSumCount * sizeof(double)));
  REQUIRE(cudaMalloc(&value, sizeof(double)));
  cudaStream_t stream;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  REQUIRE(cudaMemsetAsync(logits, 0, elements * 2, stream));
  REQUIRE(cudaMemsetAsync(labels, 0, voxels, stream));
  REQUIRE(cudaMemsetAsync(static_cast<char*>(labels) + S - kLast, 1, kLast, stream));
  REQUIRE(cudaMemsetAsync(gradient, 0xff, elements * 2, stream));
  REQUIRE(cudaDeviceSynchronize());
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = call.statistics_samples = 1;
  call.in.classes = 2;
  call.in.voxels = S;
  call.in.activation = Activation::softmax;
  call.in.channels_last = channels_last;
  call.in.predictions = {logits, DType::float16};
  call.in.target = {labels, DType::uint8};
  call.statistics = static_cast<double*>(statistics);
  call.value = static_cast<double*>(value);
  call.grad.data = gradient;
  call.grad.dtype = DType::float16;
  call.scale = static_cast<double>(S);  // half precision could not represent the gradients without
  REQUIRE(cudaMalloc(&workspace, cuda::workspace_bytes(call)));
  REQUIRE(cuda::enqueue(call, workspace, stream));
  REQUIRE(cudaDeviceSynchronize());

  double sums[2 * kSumCount];
  REQUIRE(cudaMemcpy(sums, statistics, sizeof sums, cudaMemcpyDeviceToHost));
  const double most = static_cast<double>(S - kLast), few = kLast;
  bool good = expect(sums[0] == most / 2 && sums[kSumCount] == few / 2, "the sums of p*t");
  good &= expect(sums[2] == most && sums[kSumCount + 2] == few, "the sums of t");

  // At some voxels: the gradients of a class are equal where the labels are, and none is the NaN from before the call.
  for (int64_t c = 0; c < 2; c++) {
    const auto at = [&](int64_t s, uint16_t& bits) {
      const int64_t i = channels_last ? 2 * s + c : c * S + s;
      return cudaMemcpy(&bits, static_cast<uint16_t*>(gradient) + i, sizeof bits, cudaMemcpyDeviceToHost);
    };
    uint16_t first, last;
    REQUIRE(at(0, first));
    REQUIRE(at(S - 1, last));
    good &= expect(first != 0xffff && last != 0xffff && first != last, "two labels have two gradients");
    const int64_t crossing = channels_last ? int64_t{1} << 30 : (int64_t{1} << 31) - c * S;  // element 2^31
    const int64_t middle = crossing < S - kLast - 1 ? crossing : S / 2;
    for (const int64_t s : {int64_t{1}, middle - 1, middle, middle + 1, S / 2, S - kLast - 1, S - kLast, S - 2}) {
      uint16_t bits;
      REQUIRE(at(s, bits));
      good &= expect(bits == (s < S - kLast ? first : last), "the gradient depends on the label alone");
    }
  }
  for (void* each : {logits, labels, gradient, statistics, value, workspace}) REQUIRE(cudaFree(each));
  REQUIRE(cudaStreamDestroy(stream));
  std::printf("%lld elements, %s: %s\n", static_cast<long long>(elements), channels_last ? "[N,S,C]" : "[N,C,S]",
              good ? "right" : "wrong");
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (!describe_gpu()) return 77;
  if (argc > 1 && std::strcmp(argv[1], "leak") == 0) return leak_check();
  if (argc > 1 && std::strcmp(argv[1], "large") == 0) {
    const int64_t S = argc > 2 ? std::atoll(argv[2]) : (int64_t{1} << 30) + 4099;
    const int first = large_check(S, false), last = large_check(S, true);
    return first == 0 ? last : first;
  }
  int status = 0;
  for (const auto run : {run_kernels_test, run_count_test, run_head_test, run_predict_test}) {
    const int ended = run(argc, argv);
    if (status == 0) status = ended;
  }
  return status;
}
