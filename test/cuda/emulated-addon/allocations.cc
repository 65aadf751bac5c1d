#include "allocations.h"

#include <atomic>
#include <cstddef>
#include <new>

#include "fake.h"

namespace fake {
namespace {

std::atomic<int64_t> count{0}, first_failure{0};
std::atomic<bool> all_after{false};

bool fails() {
  if (calls_inside > 0) return false;
  const int64_t number = ++count, first = first_failure;
  return first > 0 && (number == first || (all_after && number > first));
}

}  // namespace

void fail_allocations(int64_t first, bool lasting) {
  first_failure = 0;
  count = 0;
  all_after = lasting;
  first_failure = first;
}

int64_t allocations() { return count; }

}  // namespace fake

// The linker's names: a call of f in this addon comes to __wrap_f, and __real_f is what it was meant for.
extern "C" {
void* __real_malloc(size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
void* __real__Znwm(size_t size);
void* __real__Znam(size_t size);

void* __wrap_malloc(size_t size) { return fake::fails() ? nullptr : __real_malloc(size); }

void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  return fake::fails() ? nullptr : __real_aligned_alloc(alignment, size);
}

/// operator new
void* __wrap__Znwm(size_t size) {
  if (fake::fails()) throw std::bad_alloc();
  return __real__Znwm(size);
}

/// operator new[]
void* __wrap__Znam(size_t size) {
  if (fake::fails()) throw std::bad_alloc();
  return __real__Znam(size);
}
}
