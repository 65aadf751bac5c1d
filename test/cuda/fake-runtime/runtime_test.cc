// Tests native/cuda/runtime on the fake CUDA runtime. Prints a line for each failure, and exits with 1 if there is one.
// With the argument "no-pools" the device has no stream-ordered allocation.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>
#include <thread>

#include "checks.h"
#include "cuda/runtime/completion.h"
#include "cuda/runtime/graph.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/transfer.h"
#include "fake.h"

using namespace warpdice;
using namespace warpdice::cuda;
using namespace checks;

static constexpr size_t kTotalBytes = 4 << 20;  // of the device

static void counts_memory() {
  const auto stream = Stream::create(0);
  const size_t before = fake::allocated_bytes();
  auto a = DeviceMemory::allocate(stream, 1000), b = DeviceMemory::allocate(stream, 31);
  expect(memory_use(0).alive_bytes == 1031, "alive counts both");
  a.reset();
  expect(memory_use(0).alive_bytes == 31, "alive falls at the release");
  expect(memory_use(0).peak_bytes == 1031, "the peak stays");
  expect(DeviceMemory::allocate(stream, 0)->data() == nullptr, "0 bytes are no allocation");
  const auto same = b;
  b.reset();
  expect(memory_use(0).alive_bytes == 31, "a shared owner keeps it");
  stream->synchronize();
  expect(fake::allocated_bytes() == before + 31, "the released one was freed, the shared one was not");
}

static void frees_after_every_stream(bool pools) {
  const auto first = Stream::create(0), second = Stream::create(0);
  auto memory = DeviceMemory::allocate(first, 64);
  memory->used_on(second, Access::write);
  if (pools) fake::hold(second->handle(), true);
  check(cudaMemsetAsync(memory->data(), 1, 64, second->handle()), "cudaMemsetAsync");
  memory.reset();
  if (pools) {
    first->synchronize();
    expect(fake::allocated_bytes() == 64, "not freed while the other stream has work with it");
    fake::hold(second->handle(), false);
  }
  expect(error_of([&] { second->synchronize(), first->synchronize(); }).empty(), "the work found its memory");
  expect(fake::allocated_bytes() == 0, "freed after it");
}

static void says_what_was_asked() {
  const auto stream = Stream::create(0);
  const auto some = DeviceMemory::allocate(stream, 576);
  expect(error_of([&] { DeviceMemory::allocate(stream, kTotalBytes); }) ==
             "ERR_OUT_OF_MEMORY: Out of memory on cuda:0: 4194304 bytes were asked for, 4193728 of 4194304 are free",
         "out of memory says asked and free");
  expect(cudaGetLastError() == cudaSuccess, "and leaves no error behind");
  expect(memory_use(0).alive_bytes == 576, "and counts nothing");
  expect(error_of([&] { DeviceMemory::allocate(stream, 1000); }).empty(), "the next smaller one works");
}

static void waits_for_queued_frees() {
  const auto stream = Stream::create(0);
  DeviceMemory::allocate(stream, kTotalBytes);  // its free is queued, not done
  expect(error_of([&] { DeviceMemory::allocate(stream, kTotalBytes); }).empty(), "the memory is had again");
}

static void keeps_what_is_freed() {
  const auto stream = Stream::create(0);
  const auto step = [&] {
    DeviceMemory::allocate(stream, 5000);
    DeviceMemory::allocate(stream, 3000);
    stream->synchronize();
  };
  step();
  const int before = fake::calls("a pool grows");
  for (int i = 0; i < 10; i++) step();
  expect(fake::calls("a pool grows") == before, "a steady state asks the driver for nothing");
  expect(fake::allocated_bytes() == 0 && memory_info(0).free_bytes < kTotalBytes, "what is freed is kept");
  expect(error_of([&] { DeviceMemory::allocate_exportable(stream, kTotalBytes); }).empty(),
         "and given back when memory runs out");
}

static void uses_each_device() {
  const auto first = Stream::create(0), second = Stream::create(1);
  for (int i = 0; i < 2; i++) {
    // Each finds the other's device current.
    for (const auto& stream : {first, second}) {
      const int other = 1 - stream->device();
      const int sent = 7 + i, size_bytes = sizeof sent;
      use_device(other);
      const auto memory = DeviceMemory::allocate(stream, size_bytes);
      use_device(other);
      upload(&sent, *memory, 0, size_bytes, stream);
      use_device(other);
      const Download arriving(*memory, 0, size_bytes);
      use_device(other);
      stream->synchronize();
      expect(std::memcmp(arriving.data(), &sent, size_bytes) == 0, "every entry uses its own device");
      use_device(other);
      Graph graph(stream->device(), [&] { return recorder->zero(memory->data(), size_bytes); });
      use_device(other);
      graph.launch(*stream);
      use_device(other);
      Event event(stream->device());
      use_device(other);
      event.record(*stream);
      expect(event.query() == cudaSuccess, "events too");
      use_device(other);
    }
  }
  first->synchronize();
  second->synchronize();
}

static void names_the_failing_call() {
  expect(error_of([] { Stream::create(7); }) ==
             "ERR_CUDA: cudaSetDevice failed with cudaErrorInvalidDevice: invalid device ordinal",
         "name, text and call");
  expect(cudaGetLastError() == cudaSuccess, "the error was taken");
}

static void orders_by_events() {
  const auto first = Stream::create(0), second = Stream::create(0);
  Event event(0), later(0);
  expect(event.query() == cudaSuccess, "never recorded: reached");
  fake::hold(first->handle(), true);
  event.record(*first);
  event.make_wait(*second);
  later.record(*second);
  expect(later.query() == cudaErrorNotReady, "the second stream waits for the first");
  fake::hold(first->handle(), false);
  expect(later.query() == cudaSuccess, "and goes on after it");
}

/// The status within five seconds; cudaErrorNotReady if none came.
static cudaError_t settled(std::future<cudaError_t>& future) {
  if (future.wait_for(std::chrono::seconds(5)) != std::future_status::ready) return cudaErrorNotReady;
  return future.get();
}

static void calls_back() {
  const auto slow = Stream::create(0), fast = Stream::create(0);
  std::promise<cudaError_t> slow_status, fast_status;
  auto slow_future = slow_status.get_future(), fast_future = fast_status.get_future();
  Completion completion;
  fake::hold(slow->handle(), true);
  completion.when_done(slow, [&](cudaError_t status) { slow_status.set_value(status); });
  completion.when_done(fast, [&](cudaError_t status) { fast_status.set_value(status); });
  expect(settled(fast_future) == cudaSuccess, "a stream that waits does not hold back another");
  expect(slow_future.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready, "the held one waits");
  fake::hold(slow->handle(), false);
  expect(settled(slow_future) == cudaSuccess, "and is called when it goes on");
}

static void ends_before_the_work() {
  const auto stream = Stream::create(0);
  bool called = false;
  auto kept = std::make_shared<int>(1);
  {
    Completion completion;
    fake::hold(stream->handle(), true);
    completion.when_done(stream, [&called, kept](cudaError_t) { called = true; });
  }
  expect(!called && kept.use_count() == 1, "a callback whose work never ends is let go");
  fake::hold(stream->handle(), false);
}

/// Steps of several threads, each on its own stream. They share pools, pinned buffers, counters and one Completion.
static void serves_threads() {
  constexpr int kThreads = 4, kSteps = 25;
  std::vector<std::thread> threads;
  std::atomic<int> done{0}, wrong{0};
  Completion completion;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      const auto stream = Stream::create(t % 2);
      for (int step = 0; step < kSteps; step++) {
        const std::vector<int> sent(100 + step, t * kSteps + step);
        const size_t size_bytes = sent.size() * sizeof(int);
        const auto memory = DeviceMemory::allocate(stream, size_bytes);
        upload(sent.data(), *memory, 0, size_bytes, stream);
        const auto arriving = std::make_shared<Download>(*memory, 0, size_bytes);
        std::promise<cudaError_t> promise;
        auto arrived = promise.get_future();
        completion.when_done(stream, [&promise](cudaError_t status) { promise.set_value(status); });
        if (settled(arrived) != cudaSuccess) wrong++;
        else if (std::memcmp(arriving->data(), sent.data(), size_bytes) != 0) wrong++;
        done++;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  expect(done == kThreads * kSteps && wrong == 0, "every thread got back what it sent");
  expect(memory_use(0).alive_bytes == 0 && memory_use(1).alive_bytes == 0, "and left nothing");
}

/// However large a copy is, there is a limit to the memory that is pinned for it, and to what is kept afterwards.
static void pins_only_so_much() {
  constexpr size_t kMax = size_t{256} << 20, kLarge = kMax + (size_t{40} << 20) + 3;
  fake::set_total_bytes(2 * kLarge);
  {
    const auto stream = Stream::create(0);
    const std::vector<char> sent(kLarge, 7);
    const auto memory = DeviceMemory::allocate(stream, kLarge);
    const int waits = fake::calls("cudaEventSynchronize");
    upload(sent.data(), *memory, 0, kLarge, stream);
    expect(fake::calls("cudaEventSynchronize") == waits + 2, "two parts too many are waited for");
    expect(fake::pinned_bytes() <= kMax + (size_t{1} << 20), "an upload pins its parts again");
    const Download arriving(*memory, 0, kLarge);
    stream->synchronize();
    expect(std::memcmp(arriving.data(), sent.data(), kLarge) == 0, "and loses nothing");
  }
  expect(fake::pinned_bytes() <= kMax, "what is kept for later has an end");
  const size_t before = fake::pinned_bytes();
  for (const size_t size : {(size_t{1} << 31) + 1, (size_t{1} << 32) - 1, (size_t{1} << 32) + 1, size_t{4400000000}}) {
    const PinnedBuffer large(0, size);  // nothing touches it
    const size_t pinned = fake::pinned_bytes() - std::min(before, fake::pinned_bytes());
    expect(pinned >= size && pinned < size + (size_t{32} << 20), "a large copy pins little more than it needs");
  }
  fake::set_total_bytes(kTotalBytes);
}

/// The next copy does not get pinned memory that a copy still uses.
static void keeps_pinned_memory_that_is_in_use() {
  const auto held = Stream::create(0), other = Stream::create(0);
  const auto first = DeviceMemory::allocate(held, sizeof(int)), second = DeviceMemory::allocate(other, sizeof(int));
  fake::hold(held->handle(), true);
  const int one = 1, two = 2;
  upload(&one, *first, 0, sizeof one, held);
  upload(&two, *second, 0, sizeof two, other);
  fake::hold(held->handle(), false);
  const Download arriving(*first, 0, sizeof one);
  held->synchronize();
  expect(std::memcmp(arriving.data(), &one, sizeof one) == 0, "a queued copy keeps its pinned memory");
  other->synchronize();
}

/// Destroyed after main(), like CUDA's runtime: from then on nobody may call it.
struct LastOfAll {
  ~LastOfAll() {
    const int before = fake::calls("cudaEventQuery");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (fake::calls("cudaEventQuery") == before) return;
    std::printf("failed: CUDA is asked while the process ends\n");
    std::fflush(stdout);
    std::_Exit(1);
  }
};
static const LastOfAll last_of_all;

/// What process.exit() leaves: it destroys nothing.
static void leaves_work_behind() {
  const auto stream = Stream::create(0);
  auto* completion = new Completion;
  fake::hold(stream->handle(), true);
  completion->when_done(stream, [stream](cudaError_t) {});
}

/// The errors of which driver_types.h says that the process must be started anew.
static void knows_sticky_errors() {
  for (const int status : {214, 226, 700, 702, 710, 714, 715, 716, 717, 718, 719, 721, 810, 911}) {
    expect(is_sticky(static_cast<cudaError_t>(status)), "an error that ends the context");
  }
  for (const int status : {1, 2, 9, 35, 46, 98, 100, 101, 201, 400, 600, 701, 720, 801, 802, 807}) {
    expect(!is_sticky(static_cast<cudaError_t>(status)), "an error of one call");
  }
}

static void survives_a_lost_context() {
  const auto stream = Stream::create(0);
  auto memory = DeviceMemory::allocate(stream, 64);
  Completion completion;
  std::promise<cudaError_t> status;
  auto future = status.get_future();
  fake::hold(stream->handle(), true);
  completion.when_done(stream, [&](cudaError_t fault) { status.set_value(fault); });
  fake::set_fault(cudaErrorIllegalAddress);
  expect(settled(future) == cudaErrorIllegalAddress, "a pending callback gets the error");
  expect(error_of([&] {
           stream->synchronize();
         }).find("the CUDA context of this process is lost, only the CPU goes on") != std::string::npos,
         "a sticky fault says what is lost");
  memory.reset();
  expect(memory_use(0).alive_bytes == 0, "a release under a fault is counted and does not throw");
  fake::hold(stream->handle(), false);
}

/// A graph that fills one array after the other, and a check that it has done so.
struct Filled {
  std::shared_ptr<Stream> stream = Stream::create(0);
  std::vector<std::shared_ptr<DeviceMemory>> arrays;

  explicit Filled(int count) {
    for (int i = 0; i < count; i++) arrays.push_back(DeviceMemory::allocate(stream, 4));
  }
  Graph::Enqueue first(size_t count) const {
    return [this, count] {
      cudaError_t status = cudaSuccess;
      for (size_t i = 0; i < count && status == cudaSuccess; i++) status = recorder->zero(arrays[i]->data(), 4);
      return status;
    };
  }
  bool is_zero(size_t i) const {
    stream->synchronize();
    return *static_cast<const int*>(arrays[i]->data()) == 0;
  }
};

static void updates_whole_graphs() {
  const Filled old(2), other(3);
  Graph graph(0, old.first(2));
  graph.launch(*old.stream);
  expect(old.is_zero(0) && old.is_zero(1), "a graph launches what it recorded");
  for (const size_t count : {1, 3}) {
    expect(!error_of([&] { graph.update(other.first(count)); }).empty(), "other launches are refused");
    expect(error_of([&] { graph.launch(*other.stream); }) == "ERR_CUDA: Expected a graph whose last update succeeded",
           "a graph that was updated in part does not run");
  }
  expect(!other.is_zero(0), "nothing of it ran");
  graph.update(other.first(2));
  graph.launch(*other.stream);
  expect(other.is_zero(0) && other.is_zero(1) && !other.is_zero(2), "the next whole update runs");
}

int main(int argc, char**) {
  const bool pools = argc == 1;
  fake::set_pools_supported(pools);
  fake::set_total_bytes(kTotalBytes);
  names_the_failing_call();
  knows_sticky_errors();
  counts_memory();
  frees_after_every_stream(pools);
  says_what_was_asked();
  if (pools) waits_for_queued_frees();
  if (pools) keeps_what_is_freed();
  uses_each_device();
  orders_by_events();
  calls_back();
  ends_before_the_work();
  updates_whole_graphs();
  serves_threads();
  keeps_pinned_memory_that_is_in_use();
  pins_only_so_much();
  checks::streams(pools);
  checks::transfers();
  checks::launches();
  survives_a_lost_context();
  fake::set_fault(cudaSuccess);
  leaves_work_behind();
  std::printf("%d checks, %d failures\n", count, failures);
  return failures == 0 ? 0 : 1;
}
