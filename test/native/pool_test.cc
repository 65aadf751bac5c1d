// The pool's threads where Linux can say where they run: a helper that slept is not woken on its caller's processor.
#include "cpu/pool.h"

#include <chrono>

#include "check.h"

#if defined(__linux__)
#include <sched.h>
#endif

namespace warpdice::test {

#if defined(__linux__)

namespace {

struct Seen {
  cpu_set_t helper;   // where the helper may run
  int before, after;  // the caller's processor around the call
  bool helped = false;
};

/// A call of two tasks, each of which waits until both have begun, by threads that slept.
Seen call_after_sleep() {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  Seen seen;
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> begun{0};
  seen.before = sched_getcpu();
  cpu::Pool::instance().parallel_for(2, 1, [&](int64_t) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    begun++;
    while (begun < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    if (std::this_thread::get_id() == caller) return;
    seen.helped = sched_getaffinity(0, sizeof seen.helper, &seen.helper) == 0;
  });
  seen.after = sched_getcpu();
  return seen;
}

}  // namespace

void test_pool() {
  cpu::Pool& pool = cpu::Pool::instance();
  const int threads = pool.threads();
  pool.set_threads(2);
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  const int processors = CPU_COUNT(&allowed);
  call_after_sleep();  // starts the helper

  const auto expect_kept_away = [&] {
    for (int i = 0; i < 20; i++) {
      const Seen seen = call_after_sleep();
      expect_close("a helper takes a task", seen.helped, 1, 0);
      if (seen.before != seen.after || processors < 2) continue;  // the caller may have moved before the pool looked
      expect_close("kept from the caller's processor", CPU_ISSET(static_cast<size_t>(seen.before), &seen.helper), 0, 0);
      expect_close("and from no other", CPU_COUNT(&seen.helper), processors - 1, 0);
    }
  };
  expect_kept_away();

  // A caller that may use one processor only: its helper may use that one, too, for as long as this lasts.
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (!CPU_ISSET(static_cast<size_t>(processor), &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(processor), &one);
    sched_setaffinity(0, sizeof one, &one);
    const Seen seen = call_after_sleep();
    expect_close("a helper beside a caller on one processor", seen.helped, 1, 0);
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
  expect_kept_away();
  pool.set_threads(threads);
}

#else

void test_pool() {}

#endif

}  // namespace warpdice::test
