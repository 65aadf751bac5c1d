// Prints the launches of losses on a GPU: kernels, grids and arguments; of teams also where in their second argument
// the voxels of a block are, those of a round, and a block's rounds. Takes cases, one an argument:
//   N:C:S:layout:dtype:labels:activation:loss:weights:K      layout first or last, labels a dtype or dense, loss dice
//   or dice-ce,
//                                                            weights none, weight or ignore, K channels of a head or 0
#include <dlfcn.h>

#include <cstddef>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "cuda/engine.h"
#include "cuda/kernels/device_api.h"

using namespace warpdice;
using namespace warpdice::cuda;

namespace {

class Printer : public Recorder {
 public:
  cudaError_t kernel(const cudaKernelNodeParams& node) override {
    Dl_info info;
    dladdr(node.func, &info);
    // A kernel of an unnamed namespace has no name here. None of those is counted.
    const char* name = info.dli_sname ? info.dli_sname : "?";
    printf("kernel %s %u %u %u", name, node.gridDim.x, node.blockDim.x, node.sharedMemBytes);
    const auto sizes = simt::argument_sizes(node.func);
    for (size_t i = 0; i < sizes.size(); i++) {
      printf(" ");
      const auto* bytes = static_cast<const unsigned char*>(node.kernelParams[i]);
      for (size_t k = 0; k < sizes[i].size; k++) printf("%02x", bytes[k]);
      printf("/%zu", sizes[i].alignment);
    }
    printf("\n");
    if (strstr(name, "team_")) {
      const auto& shape = *static_cast<const TeamShape*>(node.kernelParams[1]);
      printf("rounds %zu %d %lld\n", offsetof(TeamShape, chunk), shape.voxels,
             static_cast<long long>(shape.chunk / shape.voxels));
    }
    return cudaSuccess;
  }
  cudaError_t zero(void*, size_t size_bytes) override {
    printf("zero %zu\n", size_bytes);
    return cudaSuccess;
  }
  // No loss of several ranks is counted.
  cudaError_t capture(const std::function<void(cudaStream_t)>&) override { return cudaErrorInvalidValue; }
};

const std::map<std::string, DType> kDTypes = {
    {"float32", DType::float32},   {"float64", DType::float64}, {"float16", DType::float16},
    {"bfloat16", DType::bfloat16}, {"uint8", DType::uint8},     {"int32", DType::int32},
    {"int64", DType::int64},
};

/// An address of an array that nobody reads. Arrays lie far apart: block.mjs tells them by bits 40 and up.
void* array(uint64_t number) { return reinterpret_cast<void*>(number << 40); }

}  // namespace

int main(int argc, char** argv) {
  Printer printer;
  recorder = &printer;
  for (int k = 1; k < argc; k++) {
    long long N, C, S, K;
    char layout[16], dtype[16], labels[16], activation[16], loss[16], weighted[16];
    if (sscanf(argv[k], "%lld:%lld:%lld:%15[^:]:%15[^:]:%15[^:]:%15[^:]:%15[^:]:%15[^:]:%lld", &N, &C, &S, layout,
               dtype, labels, activation, loss, weighted, &K) != 10) {
      fprintf(stderr, "%s is not a case\n", argv[k]);
      return 1;
    }
    DeviceCall call;
    call.steps = kStatistics | kFinalize | kGradient;
    call.in.samples = N;
    call.in.classes = C;
    call.in.voxels = S;
    call.in.channels_last = !strcmp(layout, "last");
    call.in.activation = !strcmp(activation, "softmax") ? Activation::softmax : Activation::sigmoid;
    call.in.predictions = {array(1), kDTypes.at(dtype)};
    call.in.labels = strcmp(labels, "dense") != 0;
    call.in.target = {array(2), call.in.labels ? kDTypes.at(labels) : DType::float32};
    if (!strcmp(weighted, "weight")) call.in.weight = {array(6), DType::float32};
    if (!strcmp(weighted, "ignore")) call.in.has_ignore = true, call.in.ignore_index = 255;
    if (!strcmp(loss, "dice-ce")) call.options.cross_entropy_factor = 1;
    if (K > 0) {
      call.head.channels = K;
      call.head.weight = {array(7), DType::float32};
      call.head.bias = {array(8), DType::float32};
      call.head.weight_grad.data = array(9);
      call.head.bias_grad.data = array(10);
    }
    make_consistent(call.in, call.options);
    call.value = static_cast<double*>(array(3));
    call.grad.data = array(4);
    call.grad.dtype = kDTypes.at(dtype);
    printf("case %s\n", argv[k]);
    if (enqueue(call, array(5), nullptr) != cudaSuccess) printf("refused\n");
  }
}
