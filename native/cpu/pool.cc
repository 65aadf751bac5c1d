#include "pool.h"

#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace warpdice::cpu {
namespace {

constexpr int kMaxThreads = 256;

/// How long an idle thread watches for the next job before it sleeps: a training step's two passes
/// follow each other within this, and waking a sleeper costs as much.
constexpr auto kIdleSpin = std::chrono::microseconds(40);

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int default_threads() {
  if (const char* text = std::getenv("WARPDICE_THREADS")) {
    char* end = nullptr;
    const long count = std::strtol(text, &end, 10);
    if (end != text && *end == '\0' && count >= 1) return count < kMaxThreads ? static_cast<int>(count) : kMaxThreads;
  }
#if defined(__linux__)
  cpu_set_t allowed;
  const unsigned cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
#else
  const unsigned cores = std::thread::hardware_concurrency();
#endif
  return cores < 1 ? 1 : cores < kMaxThreads ? static_cast<int>(cores) : kMaxThreads;
}

}  // namespace

Pool& Pool::instance() {
  // Never destroyed: its threads may outlive static destruction at exit.
  static Pool* pool = new Pool;
  return *pool;
}

Pool::Pool() : limit_(default_threads()) {}

void Pool::take_tasks(Job& job) {
  for (;;) {
    const int64_t first = job.next.fetch_add(job.grain, std::memory_order_relaxed);
    if (first >= job.count) return;
    const int64_t last = first + job.grain < job.count ? first + job.grain : job.count;
    try {
      for (int64_t i = first; i < last; i++) job.call(job.context, i);
    } catch (...) {
      if (!job.failed.exchange(true)) job.error = std::current_exception();
      job.next.store(job.count, std::memory_order_relaxed);  // the rest is not worth doing
      return;
    }
  }
}

void Pool::run(Job& job) {
  const int64_t shares = (job.count + job.grain - 1) / job.grain;
  const int limit = threads();
  const int helpers = static_cast<int>(shares - 1 < limit - 1 ? shares - 1 : limit - 1);
  if (helpers <= 0) {
    take_tasks(job);
  } else {
    int sleepers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      start_workers(helpers);
      job.next_job = jobs_;
      jobs_ = &job;
      submitted_.fetch_add(1, std::memory_order_release);
      sleepers = sleeping_;
    }
    for (int i = 0; i < helpers && i < sleepers; i++) wake_.notify_one();
    take_tasks(job);
    {
      std::lock_guard<std::mutex> lock(mutex_);  // from here on nobody joins
      Job** link = &jobs_;
      while (*link != &job) link = &(*link)->next_job;
      *link = job.next_job;
    }
    // The helpers are each inside their last task: a short wait, but they may have lost their core.
    for (int spins = 0; job.helpers.load(std::memory_order_acquire) > 0; spins++) {
      if (spins < 4000) relax();
      else std::this_thread::yield();
    }
  }
  if (job.error) std::rethrow_exception(job.error);
}

void Pool::start_workers(int wanted) {
  while (workers_ < wanted && workers_ < kMaxThreads) {
    try {
      std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
      return;  // the system allows no more threads: the caller does more of the work itself
    }
    workers_++;
  }
}

/// An open job that may still take a helper. The mutex is held.
Pool::Job* Pool::open_job(int limit) {
  for (Job* job = jobs_; job; job = job->next_job) {
    if (job->next.load(std::memory_order_relaxed) < job->count &&
        job->helpers.load(std::memory_order_relaxed) < limit - 1) {
      return job;
    }
  }
  return nullptr;
}

void Pool::work() {
  for (;;) {
    Job* job;
    uint64_t seen;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      seen = submitted_.load(std::memory_order_relaxed);
      job = open_job(threads());
      if (job) job->helpers.fetch_add(1, std::memory_order_relaxed);
    }
    if (job) {
      take_tasks(*job);
      job->helpers.fetch_sub(1, std::memory_order_release);  // the job may be gone from here on
      continue;
    }
    const auto asleep_at = std::chrono::steady_clock::now() + kIdleSpin;
    while (submitted_.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < asleep_at) relax();
    if (submitted_.load(std::memory_order_acquire) != seen) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    sleeping_++;
    wake_.wait(lock, [&] { return submitted_.load(std::memory_order_relaxed) != seen; });
    sleeping_--;
  }
}

}  // namespace warpdice::cpu
