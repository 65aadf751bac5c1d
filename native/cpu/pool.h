#pragma once
// A fork-join pool of std::thread: one for the whole process, shared by every JavaScript environment.
// (Not OpenMP: libgomp dies when Node unloads an addon under its threads, and slim images lack it.)
//
// parallel_for runs tasks 0..count-1 on the calling thread and on idle pool threads. Which thread runs
// a task is left to chance, so a task may depend on its index alone: then results do not depend on the
// number of threads. Several threads may call it at once; each call works on its own tasks.
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace warpdice::cpu {

class Pool {
 public:
  static Pool& instance();

  int threads() const { return limit_.load(std::memory_order_relaxed); }
  void set_threads(int count) { limit_.store(count < 1 ? 1 : count, std::memory_order_relaxed); }

  /// Calls task(i) for each i in [0, count), `grain` consecutive ones at a time. Rethrows the first exception.
  template <class Task>
  void parallel_for(int64_t count, int64_t grain, const Task& task) {
    Job job;
    job.count = count;
    job.grain = grain;
    job.context = &task;
    job.call = [](const void* context, int64_t i) { (*static_cast<const Task*>(context))(i); };
    run(job);
  }

 private:
  struct Job {
    int64_t count = 0, grain = 1;
    const void* context = nullptr;
    void (*call)(const void* context, int64_t i) = nullptr;
    std::atomic<int64_t> next{0};  // first task not yet taken
    std::atomic<int> helpers{0};   // pool threads inside; only raised under the pool's mutex
    std::atomic<bool> failed{false};
    std::exception_ptr error;  // the exception of the first task that failed
    Job* next_job = nullptr;   // list of open jobs, guarded by the mutex
  };

  struct Worker {
    std::condition_variable wake;
    bool called = false;  // it must wake up
    std::thread thread;
    int avoids = -1;  // the processor that its affinity excludes; -1: none
  };

  Pool();
  void run(Job& job);
  void start_workers(int wanted);
  int call_sleepers(int helpers, Worker** called);
  void work(Worker& self);
  Job* open_job(int limit);
  static void take_tasks(Job& job);

  std::atomic<int> limit_;
  const int processors_;                // how many the process may use
  std::atomic<uint64_t> submitted_{0};  // the number of jobs so far; idle threads watch it
  std::mutex mutex_;
  Job* jobs_ = nullptr;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> sleepers_;  // in the order in which they fell asleep; has capacity for all workers
};

}  // namespace warpdice::cpu
