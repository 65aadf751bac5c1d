// Pinned memory: who may reuse it, and what becomes of it when calls fail.
#include <cstring>

#include "checks.h"
#include "cuda/runtime/memory.h"
#include "cuda/runtime/transfer.h"
#include "fake.h"

using namespace warpdice;
using namespace warpdice::cuda;
using namespace checks;

namespace {

/// The order in the queue: an event before its copy would free the memory too early.
void records_after_the_copy() {
  const auto slow = Stream::create(0), other = Stream::create(0);
  const auto first = DeviceMemory::allocate(slow, sizeof(int)), second = DeviceMemory::allocate(other, sizeof(int));
  slow->synchronize();
  fake::hold(slow->handle(), true);
  const int one = 1, two = 2;
  upload(&one, *first, 0, sizeof one, slow);
  fake::allow(slow->handle(), 1);  // the copy
  upload(&two, *second, 0, sizeof two, other);
  fake::hold(slow->handle(), false);
  slow->synchronize();
  other->synchronize();
  expect(*static_cast<const int*>(first->data()) == one, "the event comes after the copy");
  expect(*static_cast<const int*>(second->data()) == two, "of either");

  fake::hold(slow->handle(), true);
  {
    const Download forgotten(*first, 0, sizeof one);
    fake::allow(slow->handle(), 1);  // the copy
  }
  const PinnedBuffer next(0, sizeof two);
  std::memcpy(next.data(), &two, sizeof two);
  fake::hold(slow->handle(), false);
  slow->synchronize();
  expect(std::memcmp(next.data(), &two, sizeof two) == 0, "also when what was copied is no longer wanted");
}

void loses_no_memory_when_an_event_fails() {
  { const PinnedBuffer of_the_other_device(1, 4096); }
  const size_t before = fake::pinned_bytes();
  for (int i = 0; i < 3; i++) {
    fake::fail_next("cudaEventCreateWithFlags", cudaErrorMemoryAllocation);
    expect(!error_of([] { const PinnedBuffer buffer(0, 4096); }).empty(), "an event that fails is an error");
    { const PinnedBuffer again(1, 4096); }
  }
  expect(fake::pinned_bytes() <= before, "and loses no memory");
}

/// A copy whose event could not be recorded is waited for: nobody would know when its memory is free.
void waits_where_an_event_cannot_be_recorded() {
  const auto stream = Stream::create(0);
  const auto memory = DeviceMemory::allocate(stream, sizeof(int));
  const int one = 1, before = fake::calls("cudaStreamSynchronize");
  fake::fail_next("cudaEventRecord", cudaErrorInvalidResourceHandle);
  expect(!error_of([&] { upload(&one, *memory, 0, sizeof one, stream); }).empty(), "an event that fails is an error");
  expect(fake::calls("cudaStreamSynchronize") == before + 1, "its copy is waited for");
  expect(*static_cast<const int*>(memory->data()) == one, "and had its memory");
}

void releases_idle_memory_before_it_is_out() {
  { const PinnedBuffer idle(0, 4096); }
  expect(fake::pinned_bytes() >= 4096, "memory is kept for the next copy");
  fake::fail_next("cudaHostAlloc", cudaErrorMemoryAllocation);
  expect(error_of([] {
           const PinnedBuffer large(0, 1 << 16);
           expect(fake::pinned_bytes() == 1 << 16, "idle memory goes before memory is out");
         }).empty(),
         "then the memory is enough");
}

}  // namespace

void checks::transfers() {
  records_after_the_copy();
  loses_no_memory_when_an_event_fails();
  waits_where_an_event_cannot_be_recorded();
  releases_idle_memory_before_it_is_out();
}
