// Launches of device_api.h as CUDA's runtime sees them: the stream, the grid, shared memory, arguments; and as nodes of
// graphs. The kernels here have nothing to do with losses.
#include <cstring>

#include "checks.h"
#include "cuda/kernels/device_api.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/loader.h"
#include "cuda/runtime/memory.h"
#include "fake.h"
#include "simt.h"

using namespace warpdice;
using namespace warpdice::cuda;
using namespace checks;

namespace {

struct alignas(16) Wide {
  double x[2];
};

struct Seen {
  dim3 grid, block;
  unsigned threads;
  char letter;
  double number;
  Wide wide;
  bool flag;
};

/// Arguments of many sizes and alignments, and what a thread knows of the launch.
__global__ void see_kernel(char letter, double number, bool flag, Wide wide, Seen* seen) {
  unsigned* threads = shared_memory<unsigned>();
  if (threadIdx.x == 0) *threads = 0;
  __syncthreads();
  atomicAdd(threads, 1u);
  __syncthreads();
  if (threadIdx.x != 0 || blockIdx.x != gridDim.x - 1) return;
  *seen = {gridDim, blockDim, *threads, letter, number, wide, flag};
}

/// Uses all of its shared memory.
__global__ void fill_kernel(int64_t size_bytes, unsigned* last) {
  unsigned char* bytes = shared_memory<unsigned char>();
  for (int64_t i = threadIdx.x; i < size_bytes; i += blockDim.x) bytes[i] = 7;
  __syncthreads();
  if (threadIdx.x == 0) *last = bytes[size_bytes - 1];
}

struct Launched {
  std::shared_ptr<Stream> stream = Stream::create(0);
  std::shared_ptr<DeviceMemory> memory = DeviceMemory::allocate(stream, sizeof(Seen));

  cudaError_t see() const {
    use_device(0);
    // An int for the double, as the engine passes integers of any size.
    return launch(see_kernel, dim3(3), dim3(64), sizeof(unsigned), stream->handle(), 'x', 5, true, Wide{{1, 2}},
                  static_cast<Seen*>(memory->data()));
  }
  cudaError_t fill(size_t size_bytes) const {
    return launch(fill_kernel, dim3(1), dim3(32), size_bytes, stream->handle(), size_bytes,
                  static_cast<unsigned*>(memory->data()));
  }
  void expect_seen(const char* what) const {
    stream->synchronize();
    Seen seen;
    std::memcpy(&seen, memory->data(), sizeof seen);
    expect(seen.grid.x == 3 && seen.grid.y == 1 && seen.grid.z == 1 && seen.block.x == 64 && seen.block.y == 1 &&
               seen.threads == 64 && seen.letter == 'x' && seen.number == 5 && seen.flag && seen.wide.x[0] == 1 &&
               seen.wide.x[1] == 2,
           what);
    std::memset(memory->data(), 0xff, sizeof seen);
  }
};

void launches_on_its_stream() {
  const Launched it;
  fake::hold(it.stream->handle(), true);
  expect(it.see() == cudaSuccess, "a launch is taken");
  cudaDeviceSynchronize();
  const char untouched = static_cast<char>(0xff);
  expect(std::memcmp(it.memory->data(), &untouched, 1) == 0, "and waits on its stream");
  fake::hold(it.stream->handle(), false);
  it.expect_seen("grid, block and arguments arrive");
  Graph graph(0, [&] { return it.see(); });
  it.stream->synchronize();
  expect(std::memcmp(it.memory->data(), &untouched, 1) == 0, "a recorded launch does not run");
  graph.launch(*it.stream);
  it.expect_seen("the node of a graph has the same grid, block and arguments");
}

void zeroes_on_its_stream() {
  const Launched it;
  const auto zeroes = [&] { return zero(it.memory->data(), 8, it.stream->handle()); };
  const auto expect_zero = [&](const char* what) {
    it.stream->synchronize();
    const char* bytes = static_cast<const char*>(it.memory->data());
    expect(bytes[0] == 0 && bytes[7] == 0 && bytes[8] != 0, what);
    std::memset(it.memory->data(), 0xff, 16);
  };
  fake::hold(it.stream->handle(), true);
  expect(zeroes() == cudaSuccess, "a memset is taken");
  cudaDeviceSynchronize();
  expect(*static_cast<const char*>(it.memory->data()) != 0, "and waits on its stream too");
  fake::hold(it.stream->handle(), false);
  expect_zero("zero() fills what it was told");
  Graph graph(0, zeroes);
  graph.launch(*it.stream);
  expect_zero("and so as a node of a graph");
}

/// What another library enqueues is a node too, which an update leaves alone.
void captures_what_others_enqueue() {
  const Launched it;
  use_device(0);
  const size_t size_bytes = it.memory->size_bytes();
  int calls = 0;
  unsigned char value = 3;
  const auto enqueue = [&] {
    if (const cudaError_t failed = zero(it.memory->data(), size_bytes, nullptr)) return failed;
    return recorder->capture([&](cudaStream_t stream) {
      calls++;
      check(fake::enqueue(stream,
                          [data = it.memory->data(), value] {
                            *static_cast<unsigned char*>(data) = value;
                            return cudaSuccess;
                          }),
            "enqueue");
    });
  };
  Graph graph(0, enqueue);
  value = 4;
  graph.update(enqueue);
  expect(calls == 1, "it is captured once");
  for (int i = 0; i < 2; i++) {
    graph.launch(*it.stream);
    it.stream->synchronize();
    expect(*static_cast<const unsigned char*>(it.memory->data()) == 3, "and runs in its place in every launch");
    *static_cast<unsigned char*>(it.memory->data()) = 9;
  }
  const auto throws = [&] { return recorder->capture([](cudaStream_t) { throw Error("ERR_NCCL", "no more"); }); };
  expect(error_of([&] { Graph other(0, throws); }) == "ERR_NCCL: no more", "an error of the work is that of the graph");
  for (const char* call : {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphAddChildGraphNode"}) {
    fake::fail_next(call, cudaErrorInvalidValue);
    expect(!error_of([&] { Graph other(0, enqueue); }).empty(), call);
    cudaGetLastError();
  }
}

/// What one thread allows no other can take back.
void allows_the_same_shared_memory_always() {
  constexpr size_t kLarge = 63 * 1024, kSmaller = 50 * 1024;
  for (const int device : {0, 1}) {
    const Launched it{Stream::create(device)};
    use_device(device);
    unsigned* last = static_cast<unsigned*>(it.memory->data());
    int64_t size_bytes = kLarge;
    void* arguments[] = {&size_bytes, &last};
    const auto with_large = [&] {
      return cudaLaunchKernel(function_of(fill_kernel), dim3(1), dim3(32), arguments, kLarge, it.stream->handle());
    };
    expect(with_large() == cudaErrorInvalidValue, "no device allows as much by itself");
    cudaGetLastError();
    expect(it.fill(kLarge) == cudaSuccess, "a launch may use what every GPU has");
    expect(it.fill(kSmaller) == cudaSuccess, "and less of it");
    expect(with_large() == cudaSuccess, "and that takes nothing from the next one");
    it.stream->synchronize();
    expect(*last == 7, "it had the memory");
    Graph graph(device, [&] { return it.fill(kLarge); });
    graph.launch(*it.stream);
    expect(error_of([&] { it.stream->synchronize(); }).empty(), "as the node of a graph has");
    expect(it.fill(65 * 1024) != cudaSuccess, "what not every GPU has is an error");
    cudaGetLastError();
  }
}

void refuses_what_cuda_refuses() {
  const Launched it;
  use_device(0);
  Seen* seen = static_cast<Seen*>(it.memory->data());
  const auto with = [&](dim3 grid, dim3 block) {
    const cudaError_t status =
        launch(see_kernel, grid, block, sizeof(unsigned), it.stream->handle(), 'x', 5.0, true, Wide{}, seen);
    cudaGetLastError();
    return status;
  };
  expect(with(dim3(0), dim3(64)) == cudaErrorInvalidConfiguration, "no blocks");
  expect(with(dim3(1), dim3(2048)) == cudaErrorInvalidConfiguration, "too many threads");
  expect(with(dim3(1, 70000), dim3(64)) == cudaErrorInvalidConfiguration, "too many rows of blocks");
  alignas(16) char bytes[64] = {};
  char letter = 'x';
  double number = 5;
  bool flag = true;
  void* arguments[] = {&letter, &number, &flag, bytes + 8, &seen};
  expect(cudaLaunchKernel(function_of(see_kernel), dim3(1), dim3(64), arguments, sizeof(unsigned),
                          it.stream->handle()) == cudaErrorMisalignedAddress,
         "a misaligned argument");
  cudaGetLastError();
}

void loads_what_it_would_launch() {
  const Launched it;
  const int launched = fake::calls("cudaLaunchKernel");
  const auto loads = [] { return fake::calls("load by a launch"); };
  simt::unload_kernels();
  use_device(0);
  const int before = loads();
  load_kernels(1, [&] {
    const cudaError_t status = it.see();  // which makes device 0 current
    return status == cudaSuccess ? zero(it.memory->data(), 8, nullptr) : status;
  });
  expect(fake::calls("cudaLaunchKernel") == launched && loads() == before, "loading launches nothing");
  expect(it.see() == cudaSuccess && loads() == before, "a loaded kernel is launched without loading it again");
  it.expect_seen("and as always");
  expect(it.fill(8) == cudaSuccess && loads() == before + 1, "another one is loaded by its launch");
  fake::fail_next("cudaFuncGetAttributes", cudaErrorMemoryAllocation);
  simt::unload_kernels();
  expect(error_of([&] {
           load_kernels(0, [&] { return it.see(); });
         }).find("cudaFuncGetAttributes failed with cudaErrorMemoryAllocation") != std::string::npos,
         "an error is that of the call");
  expect(it.see() == cudaSuccess, "launches are launches again");
  it.stream->synchronize();
}

/// Nobody enables peer access.
void reads_no_memory_of_another_device() {
  const auto there = Stream::create(1);
  const auto theirs = DeviceMemory::allocate(there, sizeof(Seen));
  const Launched it;
  use_device(0);
  const cudaError_t status = launch(see_kernel, dim3(3), dim3(64), sizeof(unsigned), it.stream->handle(), 'x', 5, true,
                                    Wide{}, static_cast<Seen*>(theirs->data()));
  expect(status == cudaSuccess, "CUDA looks at no pointers");
  const std::string said = error_of([&] { it.stream->synchronize(); });
  expect(said.find("the CUDA context of this process is lost") != std::string::npos &&
             said.find("an argument of a kernel on device 0 is memory of another") != std::string::npos,
         "a kernel that uses memory of another device is a fault, and says so");
  fake::set_fault(cudaSuccess);
}

}  // namespace

void checks::launches() {
  launches_on_its_stream();
  zeroes_on_its_stream();
  captures_what_others_enqueue();
  allows_the_same_shared_memory_always();
  refuses_what_cuda_refuses();
  loads_what_it_would_launch();
  reads_no_memory_of_another_device();
}
