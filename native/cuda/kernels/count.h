#pragma once
// Hard metrics on device memory: the counts of math/counts.h. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/call.h"
#include "math/counts.h"

namespace warpdice::cuda {

/// What to count. All pointers are to device memory.
struct DeviceCount : CountInputs {
  Head head;                             // with channels: in.predictions are its features
  unsigned long long* counts = nullptr;  // [cells()], written; meaningless when there are faults
  unsigned long long* rows = nullptr;    // with by_sample [N,C,4], written, without TN: see RowPlaces
  LabelFault* faults = nullptr;          // [2], written: of the predictions (where they are labels), and of the target
};

/// Null when enqueue() can do this on every GPU; else a sentence that says why it cannot.
const char* unsupported(const DeviceCount& count);

/// The size of the workspace that enqueue() needs, aligned to 256 bytes. With a head and Decision::argmax it holds the
/// classes of all voxels, 2 bytes each; nothing in it grows with N*C*S.
size_t workspace_bytes(const DeviceCount& count);

/// Enqueues kernels and memsets only.
cudaError_t enqueue(const DeviceCount& count, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
