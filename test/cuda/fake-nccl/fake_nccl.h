#pragma once
// How the emulated addon and the fake NCCL know each other: the library enqueues work by the addon's fake runtime, and
// the tests control it through the addon. Functions: fake_nccl_use(Enqueue), fake_nccl_fail(function, result), for the
// next call of it, and fake_nccl_log(text), which moves out a line for each call.
#include <cuda_runtime.h>

#include <functional>
#include <string>

namespace fake_nccl {

using Enqueue = cudaError_t (*)(cudaStream_t, std::function<cudaError_t()>);
using Use = void (*)(Enqueue);
using Fail = void (*)(const char*, int);
using Log = void (*)(std::string*);

}  // namespace fake_nccl
