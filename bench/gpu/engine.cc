// The CUDA engine for bench.py (ctypes): Dice loss, squared denominators, reduction mean, labels, on memory and streams
// that PyTorch owns. Functions return null, or what went wrong in words.
#include <cuda_runtime.h>

#include "cuda/engine.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

using namespace warpdice;

namespace {

/// A call and its workspace, made once.
struct Plan {
  cuda::DeviceCall call;
  void* workspace = nullptr;
  void* statistics = nullptr;
};

const char* words(cudaError_t status) { return status == cudaSuccess ? nullptr : cudaGetErrorString(status); }

/// Allocates what a plan keeps.
const char* allocate(Plan* plan) {
  const cuda::DeviceCall& call = plan->call;
  if (const char* reason = cuda::unsupported(call)) return reason;
  const size_t rows = call.in.samples * call.in.classes;
  if (const char* fault = words(cudaMalloc(&plan->statistics, rows * sizeof(Sums)))) return fault;
  return words(cudaMalloc(&plan->workspace, cuda::workspace_bytes(call)));
}

}  // namespace

/// dtype, label_dtype: numbers of DType. activation: of Activation.
EXPORT const char* warpdice_plan(int64_t N, int64_t C, int64_t S, int dtype, int label_dtype, int activation,
                                 int channels_last, Plan** result) {
  auto* plan = new Plan;
  cuda::DeviceCall& call = plan->call;
  call.in.samples = N, call.in.classes = C, call.in.voxels = S;
  call.in.channels_last = channels_last;
  call.in.activation = static_cast<Activation>(activation);
  call.in.predictions.dtype = call.grad.dtype = static_cast<DType>(dtype);
  call.in.target.dtype = static_cast<DType>(label_dtype);
  call.steps = kStatistics | kFinalize | kGradient;
  *result = plan;
  return allocate(plan);
}

/// Of a head: dtype is that of features, weight and bias.
EXPORT const char* warpdice_head_plan(int64_t N, int64_t K, int64_t C, int64_t S, int dtype, int label_dtype,
                                      int activation, Plan** result) {
  auto* plan = *result = new Plan;
  cuda::DeviceCall& call = plan->call;
  call.in.samples = N, call.in.classes = C, call.in.voxels = S;
  call.in.activation = static_cast<Activation>(activation);
  call.in.predictions.dtype = call.grad.dtype = static_cast<DType>(dtype);
  call.in.target.dtype = static_cast<DType>(label_dtype);
  call.head.channels = K;
  call.head.weight.dtype = call.head.bias.dtype = call.grad.dtype;
  call.head.weight_grad.dtype = call.head.bias_grad.dtype = call.grad.dtype;
  call.steps = kStatistics | kFinalize | kGradient;
  return allocate(plan);
}

/// Value and all gradients.
EXPORT const char* warpdice_head_run(Plan* plan, const void* features, const void* weight, const void* bias,
                                     const void* labels, double* value, void* features_grad, void* weight_grad,
                                     void* bias_grad, cudaStream_t stream) {
  cuda::DeviceCall call = plan->call;
  call.in.predictions.data = features;
  call.head.weight.data = weight;
  call.head.bias.data = bias;
  call.in.target.data = labels;
  call.statistics = static_cast<double*>(plan->statistics);
  call.value = value;
  call.grad.data = features_grad;
  call.head.weight_grad.data = weight_grad;
  call.head.bias_grad.data = bias_grad;
  return words(cuda::enqueue(call, plan->workspace, stream));
}

/// Enqueues on a stream. statistics, gradient: which of the two passes; the gradient alone uses the last statistics.
EXPORT const char* warpdice_run(Plan* plan, const void* logits, const void* labels, double* value, void* gradient,
                                int does_statistics, int does_gradient, cudaStream_t stream) {
  cuda::DeviceCall call = plan->call;
  call.steps = 0;
  if (does_statistics) call.steps |= kStatistics | kFinalize;
  if (does_gradient) call.steps |= kGradient;
  call.in.predictions.data = logits;
  call.in.target.data = labels;
  call.statistics = static_cast<double*>(plan->statistics);
  call.value = value;
  call.grad.data = gradient;
  return words(cuda::enqueue(call, plan->workspace, stream));
}

/// On the device, from call to call: workspace and statistics.
EXPORT int64_t warpdice_kept_bytes(const Plan* plan) {
  const Inputs& in = plan->call.in;
  return static_cast<int64_t>(cuda::workspace_bytes(plan->call) + in.samples * in.classes * sizeof(Sums));
}

EXPORT void warpdice_close(Plan* plan) {
  cudaFree(plan->workspace);
  cudaFree(plan->statistics);
  delete plan;
}
