#pragma once
// What a head predicts, on device memory: the pointers of a Prediction, but for its list of classes, are to device
// memory. No allocation, no synchronisation.
#include <cuda_runtime.h>

#include "math/prediction.h"

namespace warpdice::cuda {

/// Null when enqueue() can do this on every GPU; else a sentence that says why it cannot.
const char* unsupported(const Prediction& prediction);

/// The size of the workspace that enqueue() needs, aligned to 256 bytes: one copy of the weights, padded.
size_t workspace_bytes(const Prediction& prediction);

/// Enqueues kernels only. For each further ChosenClasses::kMost classes the logits are made once more.
cudaError_t enqueue(const Prediction& prediction, void* workspace, cudaStream_t stream);

}  // namespace warpdice::cuda
