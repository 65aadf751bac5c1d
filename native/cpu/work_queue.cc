#include "cpu/work_queue.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "cpu/pool.h"
#include "math/error.h"

namespace warpdice::cpu {
namespace {

/// Of works at the same time. A large one keeps the whole pool busy; small ones are mostly the overhead of one thread,
/// of which several can have their share at once.
constexpr int kMaxUnderWay = 4;

int most_under_way() { return std::min(kMaxUnderWay, Pool::instance().threads()); }

}  // namespace

void WorkList::push(Work& work) {
  work.next_ = nullptr;
  (last_ ? last_->next_ : first_) = &work;
  last_ = &work;
}

Work* WorkList::pop() {
  Work* work = first_;
  if (work) first_ = work->next_;
  if (!first_) last_ = nullptr;
  return work;
}

WorkQueue& WorkQueue::instance() {
  // Never destroyed: its threads may outlive static destruction at exit.
  static WorkQueue* queue = new WorkQueue;
  return *queue;
}

void WorkQueue::add(WorkOwner& owner, Work& work) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const bool all_taken = static_cast<size_t>(threads_ - under_way_) <= waiting_;
    if (all_taken && threads_ < most_under_way()) start_thread();
    if (owner.waiting_.empty()) append(owner);
    owner.waiting_.push(work);
    waiting_++;
  }
  added_.notify_one();  // a thread that woke up earlier would wait for the mutex
}

WorkList WorkQueue::remove(WorkOwner& owner) {
  std::unique_lock<std::mutex> lock(mutex_);
  WorkOwner* before = nullptr;
  for (WorkOwner* one = first_; one; before = one, one = one->next_) {
    if (one != &owner) continue;
    (before ? before->next_ : first_) = one->next_;
    if (last_ == one) last_ = before;
    break;
  }
  WorkList waiting;
  while (Work* work = owner.waiting_.pop()) {
    waiting.push(*work);
    waiting_--;
  }
  done_.wait(lock, [&] { return owner.under_way_ == 0; });
  return waiting;
}

/// The caller holds the mutex.
void WorkQueue::start_thread() {
  try {
    std::thread([this] { run(); }).detach();
    threads_++;
  } catch (const std::exception&) {
    if (threads_ == 0) throw Error("ERR_OUT_OF_MEMORY", "Could not start a thread for calls off the event loop");
  }
}

void WorkQueue::append(WorkOwner& owner) {
  owner.next_ = nullptr;
  (last_ ? last_->next_ : first_) = &owner;
  last_ = &owner;
}

void WorkQueue::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    added_.wait(lock, [&] { return first_ && under_way_ < most_under_way(); });
    WorkOwner& owner = *first_;
    first_ = owner.next_;
    if (!first_) last_ = nullptr;
    Work& work = *owner.waiting_.pop();
    if (!owner.waiting_.empty()) append(owner);  // at the end of the line: the others come first
    waiting_--;
    under_way_++;
    owner.under_way_++;
    lock.unlock();
    work.execute();
    owner.executed(work);
    lock.lock();
    under_way_--;
    if (--owner.under_way_ == 0) done_.notify_all();
  }
}

}  // namespace warpdice::cpu
