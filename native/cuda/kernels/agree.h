#pragma once
// The frame of an all-reduce (math/frame.h) on a device: written before, looked at after. No allocation, no
// synchronisation.
#include <cuda_runtime.h>

#include "math/frame.h"
#include "math/label_fault.h"

namespace warpdice::cuda {

/// A message of all ranks in device memory: a frame's header, then the sums, and room for Frame::kRoom at least.
struct Message {
  double* numbers = nullptr;
  int64_t sums = 0;

  static size_t size_bytes(int64_t sums) {
    const auto room = static_cast<int64_t>(Frame::kRoom);
    return (static_cast<size_t>(sums < room ? room : sums) + Frame::kHeader) * sizeof(double);
  }
  double* first_sum() const { return numbers + Frame::kHeader; }
};

/// Writes the header, and zeros into room that the sums leave.
cudaError_t enqueue_header(const Message& message, const Frame& frame, cudaStream_t stream);

/// After the all-reduce: where the ranks have made different calls the sums become NaN, and `faults` says so, unless it
/// has faults already.
cudaError_t enqueue_agree(const Message& message, int ranks, LabelFault* faults, cudaStream_t stream);

}  // namespace warpdice::cuda
