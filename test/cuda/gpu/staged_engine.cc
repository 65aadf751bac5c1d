// The engine on a real GPU, for tests whose arrays are host memory: so the same tests as in the emulator run
// on a GPU and on the emulator. Every array of a call is copied to device memory of exactly its size, at the same
// distance from a 16-byte boundary, and what the call writes is copied back.
//
// WARPDICE_REPEAT=100: makes every call so many times from the same memory. All must leave the same bits.
// WARPDICE_FILL=0: does not fill the workspace before a call, so that compute-sanitizer's initcheck sees reads that
// come before the first write.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "cuda/engine.h"
#include "cuda/kernels/count.h"
#include "cuda/kernels/predict.h"

namespace warpdice::cuda {

namespace {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "%s failed with %s: %s\n", call, cudaGetErrorName(status), cudaGetErrorString(status));
  std::exit(2);
}

/// The arrays of a call on the device. Arrays that begin at one host address are one array.
class Arrays {
 public:
  Arrays() = default;
  Arrays(const Arrays&) = delete;
  Arrays& operator=(const Arrays&) = delete;
  ~Arrays() {
    for (auto& [host, array] : arrays_) check(cudaFree(array.allocation), "cudaFree");
  }

  /// Replaces a host pointer by its device pointer; null stays null.
  template <class T>
  void stage(T*& pointer, size_t size_bytes, bool written = false) {
    if (!pointer) return;
    Array& array = arrays_[reinterpret_cast<char*>(const_cast<std::remove_const_t<T>*>(pointer))];
    if (!array.allocation) {
      const size_t skipped = reinterpret_cast<uintptr_t>(pointer) % 16;
      check(cudaMalloc(&array.allocation, size_bytes + skipped), "cudaMalloc");
      array.data = static_cast<char*>(array.allocation) + skipped;
      array.size_bytes = size_bytes;
    }
    array.written |= written;
    pointer = reinterpret_cast<T*>(array.data);
  }

  void upload() const {
    for (const auto& [host, array] : arrays_) {
      check(cudaMemcpy(array.data, host, array.size_bytes, cudaMemcpyHostToDevice), "cudaMemcpy to the device");
    }
  }

  /// All arrays that the call has written, one after the other.
  std::vector<char> download() const {
    size_t size_bytes = 0;
    for (const auto& [host, array] : arrays_) size_bytes += array.written ? array.size_bytes : 0;
    std::vector<char> all(size_bytes);
    size_t end = 0;
    for (const auto& [host, array] : arrays_) {
      if (!array.written) continue;
      check(cudaMemcpy(all.data() + end, array.data, array.size_bytes, cudaMemcpyDeviceToHost),
            "cudaMemcpy from the device");
      end += array.size_bytes;
    }
    return all;
  }

  void copy_back(const std::vector<char>& all) const {
    size_t begin = 0;
    for (const auto& [host, array] : arrays_) {
      if (!array.written) continue;
      std::memcpy(host, all.data() + begin, array.size_bytes);
      begin += array.size_bytes;
    }
  }

 private:
  struct Array {
    void* allocation = nullptr;
    char* data = nullptr;
    size_t size_bytes = 0;
    bool written = false;
  };
  std::map<char*, Array> arrays_;
};

void stage(DeviceCall& call, Arrays& arrays) {
  Inputs& in = call.in;
  const size_t voxels = in.samples * in.voxels, elements = voxels * in.classes, C = in.classes;
  const size_t rows = call.groups() * C, values = call.options.value_count(call.groups(), in.classes);
  const size_t bytes = sizeof(double);
  // The gradient comes first: where it replaces the predictions, their array is written.
  const size_t K = call.channels(), weights = C * K;
  if (call.steps & kGradient) {
    arrays.stage(call.grad.data, voxels * K * size_of(call.grad.dtype), true);
    arrays.stage(call.head.weight_grad.data, weights * size_of(call.head.weight_grad.dtype), true);
    arrays.stage(call.head.bias_grad.data, C * size_of(call.head.bias_grad.dtype), true);
  }
  if (call.steps & kTargetGradient) {
    arrays.stage(call.target_grad.data, elements * size_of(call.target_grad.dtype), true);
  }
  arrays.stage(in.predictions.data, voxels * K * size_of(in.predictions.dtype));
  arrays.stage(call.head.weight.data, weights * size_of(call.head.weight.dtype));
  arrays.stage(call.head.bias.data, C * size_of(call.head.bias.dtype));
  arrays.stage(in.target.data, (in.labels ? voxels : elements) * size_of(in.target.dtype));
  arrays.stage(in.weight.data, voxels * size_of(in.weight.dtype));
  arrays.stage(in.class_weight.data, elements * size_of(in.class_weight.dtype));
  for (ClassFactors* of : {&in.positive_weight, &in.focal_alpha}) {
    arrays.stage(of->factors, (of->shared ? 1 : C) * bytes);
  }
  arrays.stage(call.options.entropy_weights, C * bytes);
  arrays.stage(in.distances, C * C * bytes);
  arrays.stage(call.options.distances, C * C * bytes);
  arrays.stage(call.options.class_weights, C * bytes);
  if (call.steps & kGradient) arrays.stage(call.upstream, values * size_of(call.upstream_dtype));
  arrays.stage(call.device_scale.data, size_of(call.device_scale.dtype));
  arrays.stage(call.statistics, rows * sizeof(Sums), call.steps & kStatistics);
  if (call.steps & kFinalize) {
    arrays.stage(call.value, values * bytes, true);
    arrays.stage(call.parts, 3 * values * bytes, true);
    arrays.stage(call.per_class, rows * bytes, true);
  }
  if (call.steps & kStatistics) arrays.stage(call.faults, sizeof(LabelFault), true);
}

/// Features, and the weights of their head.
void stage_head(Inputs& in, Head& head, Arrays& arrays) {
  arrays.stage(in.predictions.data, in.samples * in.voxels * head.channels * size_of(in.predictions.dtype));
  arrays.stage(head.weight.data, in.classes * head.channels * size_of(head.weight.dtype));
  arrays.stage(head.bias.data, in.classes * size_of(head.bias.dtype));
}

void stage(Prediction& prediction, Arrays& arrays) {
  Inputs& in = prediction.call.in;
  stage_head(in, prediction.call.head, arrays);
  const size_t some = prediction.classes.size(), voxels = in.samples * in.voxels;
  const DType dtype = some == 0                                ? prediction.dtype
                      : in.predictions.dtype == DType::float64 ? DType::float64
                                                               : DType::float32;
  arrays.stage(prediction.out, voxels * (some ? some : 1) * size_of(dtype), true);
}

void stage(DeviceCount& count, Arrays& arrays) {
  Inputs& in = count.in;
  const size_t voxels = in.samples * in.voxels, elements = voxels * in.classes;
  const bool maps = count.decision == Decision::labels;
  if (count.head.channels) stage_head(in, count.head, arrays);
  else arrays.stage(in.predictions.data, (maps ? voxels : elements) * size_of(in.predictions.dtype));
  arrays.stage(in.target.data, (in.labels ? voxels : elements) * size_of(in.target.dtype));
  arrays.stage(in.weight.data, voxels * size_of(in.weight.dtype));
  arrays.stage(in.class_weight.data, elements * size_of(in.class_weight.dtype));
  arrays.stage(count.counts, count.cells() * sizeof *count.counts, true);
  if (count.by_sample) arrays.stage(count.rows, in.samples * in.classes * 4 * sizeof *count.rows, true);
  arrays.stage(count.faults, 2 * sizeof(LabelFault), true);
}

cudaStream_t our_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  return stream;
}

int number_from(const char* name) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : 1;
}

/// Makes the call. The workspace is device memory filled with NaN.
template <class AnyCall>
cudaError_t run_staged(AnyCall call) {
  Arrays arrays;
  stage(call, arrays);
  void* workspace = nullptr;
  const size_t workspace_size = workspace_bytes(call);
  check(cudaMalloc(&workspace, workspace_size), "cudaMalloc");
  static const cudaStream_t stream = our_stream();
  std::vector<char> first;
  cudaError_t status = cudaSuccess;
  static const int times = number_from("WARPDICE_REPEAT"), fills = number_from("WARPDICE_FILL");
  for (int i = 0; i < times && status == cudaSuccess; i++) {
    arrays.upload();
    if (fills) check(cudaMemsetAsync(workspace, 0xff, workspace_size, stream), "cudaMemsetAsync");
    status = enqueue(call, workspace, stream);
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    if (status != cudaSuccess) break;
    std::vector<char> written = arrays.download();
    if (i > 0 && written != first) {
      std::printf("FAILED: run %d of the same call left other bits than the first\n", i + 1);
      std::exit(1);
    }
    if (i == 0) first = std::move(written);
  }
  if (status == cudaSuccess) arrays.copy_back(first);
  check(cudaFree(workspace), "cudaFree");
  return status;
}

}  // namespace

// The tests call these instead of enqueue().
cudaError_t enqueue_staged(const DeviceCall& call, void*, cudaStream_t) { return run_staged(call); }
cudaError_t enqueue_staged(const DeviceCount& count, void*, cudaStream_t) { return run_staged(count); }
cudaError_t enqueue_staged(const Prediction& prediction, void*, cudaStream_t) { return run_staged(prediction); }

}  // namespace warpdice::cuda
