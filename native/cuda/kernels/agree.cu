#include "cuda/kernels/agree.h"

#include <cmath>

#include "cuda/kernels/device_api.h"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {
namespace {

struct Header {
  double numbers[Frame::kHeader];
};

/// A grid of one block.
__global__ void __launch_bounds__(kThreads) header_kernel(Message message, Header header) {
  const int64_t i = threadIdx.x;
  if (i >= Frame::kHeader + message.sums && i < Frame::kSize) message.numbers[i] = 0;
  if (i != 0) return;
#pragma unroll
  for (int k = 0; k < Frame::kHeader; k++)
    message.numbers[k] = header.numbers[k];  // by a thread's number: local memory
}

/// A grid of one block.
__global__ void __launch_bounds__(kThreads) agree_kernel(Message message, int ranks, LabelFault* faults) {
  if (Frame::agree(message.numbers, ranks)) return;
  for (int64_t i = threadIdx.x; i < message.sums; i += kThreads) message.numbers[Frame::kHeader + i] = NAN;
  if (threadIdx.x == 0 && faults->count == 0) *faults = {1, 0, 0, FaultKind::ranks};
}

}  // namespace

cudaError_t enqueue_header(const Message& message, const Frame& frame, cudaStream_t stream) {
  Header header;
  for (int i = 0; i < Frame::kHeader; i++) header.numbers[i] = frame.numbers()[i];
  return launch(header_kernel, dim3(1), dim3(kThreads), 0, stream, message, header);
}

cudaError_t enqueue_agree(const Message& message, int ranks, LabelFault* faults, cudaStream_t stream) {
  return launch(agree_kernel, dim3(1), dim3(kThreads), 0, stream, message, ranks, faults);
}

}  // namespace warpdice::cuda
