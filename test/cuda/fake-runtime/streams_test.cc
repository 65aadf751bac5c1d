// Memory that several streams use, streams that share a handle, and the current device.
#include <cstring>
#include <future>

#include "checks.h"
#include "cuda/runtime/completion.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/transfer.h"
#include "fake.h"

using namespace warpdice;
using namespace warpdice::cuda;
using namespace checks;

namespace {

using StreamPointer = std::shared_ptr<Stream>;

/// Whether `stream` has come to its end. Never blocks.
bool is_done(const StreamPointer& stream) {
  Event end(stream->device());
  end.record(*stream);
  return end.query() == cudaSuccess;
}

/// A held stream, until the end of the block.
class Held {
 public:
  explicit Held(StreamPointer stream) : stream_(std::move(stream)) { fake::hold(stream_->handle(), true); }
  ~Held() { fake::hold(stream_->handle(), false); }

 private:
  const StreamPointer stream_;
};

void waits_for_the_last_writer() {
  const auto first = Stream::create(0), writer = Stream::create(0), reader = Stream::create(0),
             other = Stream::create(0);
  const auto memory = DeviceMemory::allocate(first, 64);
  memory->used_on(writer, Access::write);
  memory->used_on(reader, Access::read);
  {
    const Held held(writer);
    memory->used_on(other, Access::read);
    expect(!is_done(other), "who reads waits for the last writer");
  }
  expect(is_done(other), "and goes on after it");
  const auto late = Stream::create(0), over = Stream::create(0);
  {
    const Held held(reader);
    memory->used_on(late, Access::read);
    expect(is_done(late), "who reads does not wait for who reads too");
    memory->used_on(over, Access::write);
    expect(!is_done(over), "who writes waits for who still reads");
  }
  expect(is_done(over), "and writes afterwards");
}

/// The allocating stream, another one, and the first again.
void knows_the_last_stream() {
  const auto first = Stream::create(0), second = Stream::create(0);
  const auto memory = DeviceMemory::allocate(first, sizeof(int));
  for (const auto& stream : {first, second, first}) {
    memory->used_on(stream, Access::write);
    expect(memory->last_stream() == stream, "the last stream is known");
  }
  const Held held(second);
  const int sent = 5;
  upload(&sent, *memory, 0, sizeof sent, first);
  const Download arriving(*memory, 0, sizeof sent);
  expect(is_done(first), "a copy goes by the stream that wrote last");
  expect(std::memcmp(arriving.data(), &sent, sizeof sent) == 0, "and finds what it wrote");
}

void frees_after_three_streams() {
  const size_t before = fake::allocated_bytes();
  const StreamPointer streams[] = {Stream::create(0), Stream::create(0), Stream::create(0)};
  for (const StreamPointer& slow : streams) {
    auto memory = DeviceMemory::allocate(streams[0], 64);
    for (const StreamPointer& stream : streams) memory->used_on(stream, Access::write);
    for (const StreamPointer& stream : streams) stream->synchronize();
    {
      const Held held(slow);
      for (const StreamPointer& stream : streams) {
        check(cudaMemsetAsync(memory->data(), 1, 64, stream->handle()), "cudaMemsetAsync");
      }
      memory.reset();
      for (const StreamPointer& stream : streams) is_done(stream);
      expect(fake::allocated_bytes() == before + 64, "not freed while one of three streams uses it");
    }
    for (const StreamPointer& stream : streams) expect(is_done(stream), "the work found its memory");
    expect(fake::allocated_bytes() == before, "freed after all of them");
  }
}

/// Without pools a free waits for every stream, not only for the first.
void frees_without_pools() {
  const StreamPointer streams[] = {Stream::create(0), Stream::create(0), Stream::create(0)};
  for (const StreamPointer& stream : streams) {
    auto memory = DeviceMemory::allocate(streams[0], 64);
    memory->used_on(streams[1], Access::write);
    memory->used_on(streams[2], Access::write);
    check(cudaMemsetAsync(memory->data(), 1, 64, stream->handle()), "cudaMemsetAsync");
    memory.reset();
    expect(error_of([&] { stream->synchronize(); }).empty(), "the work found its memory, without pools");
  }
}

/// A handle that comes again is another stream; who wraps a handle in every step makes no list grow.
void tells_streams_of_one_handle_apart() {
  const auto first = Stream::create(0), real = Stream::create(0);
  const auto memory = DeviceMemory::allocate(first, 64);
  memory->used_on(Stream::wrap(0, real->handle()), Access::read);
  real->synchronize();
  {
    const Held held(first);
    memory->used_on(first, Access::write);
    const auto again = Stream::wrap(0, real->handle());
    memory->used_on(again, Access::read);
    expect(!is_done(again), "a stream of a handle that was used before waits too");
  }
  const int before = fake::calls("cudaStreamWaitEvent");
  const auto wraps = DeviceMemory::allocate(first, 64);
  for (int i = 0; i < 10; i++) wraps->used_on(Stream::wrap(0, real->handle()), Access::write);
  const int each = fake::calls("cudaStreamWaitEvent") - before;
  expect(each < 30, "the list of streams does not grow");
}

/// The default streams of two devices have the same handle.
void calls_back_for_each_device() {
  const auto slow = Stream::wrap(0, nullptr), fast = Stream::wrap(1, nullptr);
  std::promise<cudaError_t> slow_status, fast_status;
  auto slow_future = slow_status.get_future(), fast_future = fast_status.get_future();
  Completion completion;
  fake::hold(fake::default_stream(0), true);
  completion.when_done(slow, [&](cudaError_t status) { slow_status.set_value(status); });
  completion.when_done(fast, [&](cudaError_t status) { fast_status.set_value(status); });
  expect(fast_future.wait_for(std::chrono::seconds(5)) == std::future_status::ready,
         "the default stream of one device does not hold back that of another");
  fake::hold(fake::default_stream(0), false);
  expect(slow_future.wait_for(std::chrono::seconds(5)) == std::future_status::ready, "which follows");
}

/// The garbage collector runs destructors between any two calls.
void leaves_the_device_current() {
  const auto stream = Stream::create(1);
  const auto destroys = [&](const char* what, auto object) {
    use_device(0);
    object.reset();
    int now = -1;
    cudaGetDevice(&now);
    expect(now == 0, what);
  };
  destroys("a stream leaves the device current", Stream::create(1));
  destroys("an event leaves the device current", std::make_unique<Event>(1));
  destroys("memory leaves the device current", DeviceMemory::allocate(stream, 64));
  destroys("exportable memory leaves the device current", DeviceMemory::allocate_exportable(stream, 64));
  constexpr size_t kMoreThanIsKept = size_t{300} << 20;
  destroys("pinned memory leaves the device current", std::make_unique<PinnedBuffer>(1, kMoreThanIsKept));
  const auto memory = DeviceMemory::allocate(stream, 64);
  destroys("a graph leaves the device current",
           std::make_unique<Graph>(1, [&] { return recorder->zero(memory->data(), 64); }));
}

/// cudaMalloc puts small allocations into common blocks, and a handle exposes a whole block.
void exports_no_neighbours(bool pools) {
  const auto stream = Stream::create(0);
  const int before = fake::calls("a handle exposes neighbours");
  for (const size_t size_bytes : {1, 100, 2 << 20}) {
    const auto memory = DeviceMemory::allocate_exportable(stream, size_bytes);
    expect(error_of([&] { memory->handle(); }).empty(), "exportable memory has a handle");
  }
  expect(error_of([&] { DeviceMemory::allocate(stream, 64)->handle(); }).find("cudaIpcGetMemHandle failed") !=
             std::string::npos,
         pools ? "memory of a pool has none" : "nor has other memory, without pools");
  expect(fake::calls("a handle exposes neighbours") == before, "no handle exposes other allocations");
}

}  // namespace

void checks::streams(bool pools) {
  waits_for_the_last_writer();
  knows_the_last_stream();
  if (pools) frees_after_three_streams();
  else frees_without_pools();
  tells_streams_of_one_handle_apart();
  calls_back_for_each_device();
  leaves_the_device_current();
  exports_no_neighbours(pools);
}
