#include "engine.h"

namespace warpdice::cuda {

const char* unsupported(const DeviceCall&) { return "The CUDA kernels are not part of this version."; }

size_t workspace_bytes(const DeviceCall&) { return 0; }

cudaError_t enqueue(const DeviceCall&, const Limits&, void*, cudaStream_t) { return cudaErrorNotSupported; }

}  // namespace warpdice::cuda
