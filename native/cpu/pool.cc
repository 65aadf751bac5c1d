#include "cpu/pool.h"

#include <chrono>
#include <exception>

#include "cpu/quota.h"
#include "cpu/setting.h"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace warpdice::cpu {
namespace {

constexpr int kMaxThreads = 256;
[[maybe_unused]] constexpr int kUnknown = -2;  // of Worker::avoids: its affinity must be set again

/// How long an idle thread watches for the next job before it sleeps. The two passes of a training step follow each
/// other within this time, and waking a sleeping thread costs as much.
constexpr auto kIdleSpin = std::chrono::microseconds(40);

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How many processors this process may run on.
int processors() {
#if defined(__linux__)
  cpu_set_t allowed;
  const bool known = sched_getaffinity(0, sizeof allowed, &allowed) == 0;  // not with more than 1024 of them
  const unsigned count = known ? CPU_COUNT(&allowed) : std::thread::hardware_concurrency();
#else
  const unsigned count = std::thread::hardware_concurrency();
#endif
  return count < 1 ? 1 : count < kMaxThreads ? static_cast<int>(count) : kMaxThreads;
}

int default_threads() {
  if (const long count = integer_setting("WARPDICE_THREADS", kMaxThreads, 0)) return static_cast<int>(count);
  // More threads than a quota allows would use it up in a part of each period and then all stand still.
  const int quota = quota_processors("");
  return quota > 0 && quota < processors() ? quota : processors();
}

int this_processor() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

/// Lets `thread` run wherever the calling thread may, except on `processor` if there is another (-1: no exception).
/// Returns the new Worker::avoids: kUnknown when the calling thread may use only one processor, for now.
int keep_from(int processor, std::thread& thread) {
#if defined(__linux__)
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return processor;
  const bool one = CPU_COUNT(&allowed) == 1;
  if (processor >= 0 && !one) CPU_CLR(static_cast<size_t>(processor), &allowed);
  // A failure makes calls slower, not wrong.
  pthread_setaffinity_np(thread.native_handle(), sizeof allowed, &allowed);
  return one ? kUnknown : processor;
#else
  (void)thread;
  return processor;
#endif
}

}  // namespace

Pool& Pool::instance() {
  // Never destroyed: its threads may outlive static destruction at exit.
  static Pool* pool = new Pool;
  return *pool;
}

Pool::Pool() : limit_(default_threads()), processors_(processors()) {
  workers_.reserve(kMaxThreads);
  sleepers_.reserve(kMaxThreads);
}

void Pool::take_tasks(Job& job) {
  for (;;) {
    const int64_t first = job.next.fetch_add(job.grain, std::memory_order_relaxed);
    if (first >= job.count) return;
    const int64_t last = first + job.grain < job.count ? first + job.grain : job.count;
    try {
      for (int64_t i = first; i < last; i++) job.call(job.context, i);
    } catch (...) {
      if (!job.failed.exchange(true)) job.error = std::current_exception();
      job.next.store(job.count, std::memory_order_relaxed);  // skips the tasks that are left
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
    Worker* called[kMaxThreads];
    int calls;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      start_workers(helpers);
      job.next_job = jobs_;
      jobs_ = &job;
      submitted_.fetch_add(1, std::memory_order_release);
      calls = call_sleepers(helpers, called);
    }
    for (int i = 0; i < calls; i++) called[i]->wake.notify_one();
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
  while (workers_.size() < static_cast<size_t>(wanted) && workers_.size() < kMaxThreads) {
    try {
      auto worker = std::make_unique<Worker>();
      worker->thread = std::thread([this, self = worker.get()] { work(*self); });
      workers_.push_back(std::move(worker));
    } catch (const std::exception&) {
      return;  // the system allows no more threads: the caller does more of the work itself
    }
  }
}

/// Marks up to `helpers` sleeping threads as called and returns how many. The caller holds the mutex and notifies them.
///
/// A thread must not wake on the caller's own processor, where it would wait for the caller to finish. Linux chooses
/// that processor on virtual machines whose other processors are halted (it takes them for preempted), and then two
/// threads are as slow as one. So the thread's affinity excludes that processor. This takes a system call only when the
/// caller has moved to another processor.
int Pool::call_sleepers(int helpers, Worker** called) {
  const int avoided = helpers < processors_ ? this_processor() : -1;
  int count = 0;
  for (; count < helpers && !sleepers_.empty(); count++) {
    Worker* worker = called[count] = sleepers_.back();
    sleepers_.pop_back();
    if (worker->avoids != avoided) worker->avoids = keep_from(avoided, worker->thread);
    worker->called = true;
  }
  return count;
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

void Pool::work(Worker& self) {
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
    if (submitted_.load(std::memory_order_relaxed) != seen) continue;
    sleepers_.push_back(&self);
    self.wake.wait(lock, [&] { return self.called; });
    self.called = false;
  }
}

}  // namespace warpdice::cpu
