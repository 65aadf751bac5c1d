#pragma once
// What tests ask of the fake CUDA runtime, and plant in it.
#include <cuda_runtime.h>

#include <string>

namespace fake {

void set_total_bytes(size_t);                                  // of the memory of each device; 64 MB at first
void set_pools_supported(bool);                                // before the first allocation
void set_devices(int count, int driver_version, cudaError_t);  // what the queries of devices give; 2 devices at first
void hold(cudaStream_t, bool held);                            // a held stream does no work
void set_fault(cudaError_t);  // what every later call returns; cudaSuccess: works again
/// What the next call of this function returns, once; or one after it.
void fail_next(const std::string& call, cudaError_t, int after = 0);
size_t allocated_bytes();            // really allocated on devices now; frees in queues are not done yet
size_t pinned_bytes();               // of the host, now
int calls(const std::string& call);  // how often a function was called
cudaError_t enqueue(cudaStream_t, std::function<cudaError_t()> work);
cudaError_t launch(cudaStream_t, std::function<cudaError_t()> work);  // of a kernel: the call cudaLaunchKernel

}  // namespace fake
