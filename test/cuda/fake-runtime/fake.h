#pragma once
// How tests control the fake CUDA runtime.
#include <cuda_runtime.h>

#include <functional>
#include <string>

#include "bound_kernel.h"

namespace fake {

void set_total_bytes(size_t);                                  // of the memory of each device; 64 MB at first
void set_pools_supported(bool);                                // before the first allocation
void set_devices(int count, int driver_version, cudaError_t);  // what queries of devices return; 2 devices at first
void hold(cudaStream_t, bool held);                            // a held stream does no work
void allow(cudaStream_t, int count);                           // but so many of the pieces that it holds next
cudaStream_t default_stream(int device);                       // what a null handle means while the device is current
void set_fault(cudaError_t);                                   // every later call returns it; cudaSuccess ends that
/// The next call of this function returns this status, once; or the call that comes `after` calls later.
void fail_next(const std::string& call, cudaError_t, int after = 0);
size_t allocated_bytes();            // on devices now; a free that is still queued does not count
size_t pinned_bytes();               // pinned host memory now
int calls(const std::string& call);  // how often a function was called
/// Work that returns cudaErrorNotReady waits: it is called again later.
cudaError_t enqueue(cudaStream_t, std::function<cudaError_t()> work);
cudaError_t launch(cudaStream_t, const BoundKernel&);  // counts as a call of cudaLaunchKernel
/// A kernel is used first; asked: by cudaFuncGetAttributes, which takes as long as loads are held. Else it counts as a
/// call of "load by a launch".
cudaError_t load_kernel(bool asked);
void hold_loads(bool held);
/// Checks the kernel nodes of graphs, and copies their arguments. Null: there are no kernels.
extern BoundKernel (*bind_kernel)(const cudaKernelNodeParams&);

/// How many calls of the runtime this thread is in.
inline thread_local int calls_inside = 0;

}  // namespace fake
