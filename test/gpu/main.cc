// gpu_tests [arguments of kernels_test and count_test]: the tests of the emulator on the first GPU.
// gpu_tests leak: 100,000 steps, after which the device has as much free memory as before.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <vector>

#include "../../native/cuda/engine.h"

int run_kernels_test(int argc, char** argv);
int run_count_test(int argc, char** argv);

namespace {

using namespace warpdice;

bool succeeded(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return true;
  std::printf("%s failed with %s: %s\n", call, cudaGetErrorName(status), cudaGetErrorString(status));
  return false;
}

#define REQUIRE(call) \
  if (!succeeded(call, #call)) return 1

/// Says which GPU it is. False when there is none, in words.
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

/// Value and gradient of softmax Dice on [2,4,1000], as often as a long training calls it.
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
  call.in.samples = call.statistics_samples = 2, call.in.classes = 4, call.in.voxels = 1000;
  call.in.activation = Activation::softmax;
  call.in.predictions = {logits, DType::float32}, call.in.target = {labels, DType::uint8};
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

}  // namespace

int main(int argc, char** argv) {
  if (!describe_gpu()) return 77;
  if (argc > 1 && std::strcmp(argv[1], "leak") == 0) return leak_check();
  const int losses = run_kernels_test(argc, argv), counts = run_count_test(argc, argv);
  return losses == 0 ? counts : losses;
}
