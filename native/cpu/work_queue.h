#pragma once
// Work off the threads that ask for it, such as JavaScript's. At most a few pieces are under way at a time, since each
// is spread over the pool's threads; the rest waits in line. Its threads are our own: others may wait for files or
// names on those of Node.
#include <condition_variable>
#include <cstddef>
#include <mutex>

namespace warpdice::cpu {

/// One piece of work. Lists link the pieces themselves, so that nothing needs memory once it is added.
class Work {
 public:
  virtual ~Work() = default;
  /// On a thread of the queue.
  virtual void execute() noexcept = 0;

 private:
  friend class WorkList;
  Work* next_ = nullptr;
};

/// Pieces of work in order. It does not own them.
class WorkList {
 public:
  bool empty() const { return first_ == nullptr; }
  void push(Work& work);
  /// The first one, no longer in the list; null when it is empty.
  Work* pop();

 private:
  Work *first_ = nullptr, *last_ = nullptr;
};

/// Who adds work: an environment of JavaScript. The owners take turns.
class WorkOwner {
 public:
  virtual ~WorkOwner() = default;
  /// On the thread that has executed the work, which the queue knows no longer.
  virtual void executed(Work& work) noexcept = 0;

 private:
  friend class WorkQueue;
  WorkList waiting_;
  int under_way_ = 0;
  WorkOwner* next_ = nullptr;  // in the list of those with waiting work
};

class WorkQueue {
 public:
  static WorkQueue& instance();

  /// The works of one owner begin in the order in which they were added. Throws Error when there is no thread for them.
  void add(WorkOwner& owner, Work& work);

  /// Waits for the owner's works that are under way and returns those that have not begun. Then the owner may go.
  WorkList remove(WorkOwner& owner);

 private:
  WorkQueue() = default;
  void start_thread();
  void run();
  void append(WorkOwner& owner);

  std::mutex mutex_;
  std::condition_variable added_, done_;
  WorkOwner *first_ = nullptr, *last_ = nullptr;  // the owners with waiting work, the next one first
  size_t waiting_ = 0;                            // works
  int threads_ = 0, under_way_ = 0;
};

}  // namespace warpdice::cpu
