// The queue of works: order, turns, how many are under way, and owners that leave in the middle. Under ThreadSanitizer,
// too.
#include "cpu/work_queue.h"

#include <chrono>
#include <memory>

#include "check.h"
#include "cpu/pool.h"

namespace warpdice::test {
namespace {

std::atomic<int> under_way{0}, most_under_way{0};

struct Owner;

struct Piece : cpu::Work {
  Owner& owner;
  const int number;
  std::chrono::microseconds time;

  Piece(Owner& of, int i, std::chrono::microseconds takes) : owner(of), number(i), time(takes) {}

  void execute() noexcept override;
};

struct Owner : cpu::WorkOwner {
  std::mutex mutex;
  std::vector<int> begun, ended;
  std::vector<std::unique_ptr<Piece>> pieces;

  void add(int count, std::chrono::microseconds time) {
    for (int i = 0; i < count; i++) {
      pieces.push_back(std::make_unique<Piece>(*this, static_cast<int>(pieces.size()), time));
      cpu::WorkQueue::instance().add(*this, *pieces.back());
    }
  }

  void executed(cpu::Work& work) noexcept override {
    std::lock_guard<std::mutex> lock(mutex);
    ended.push_back(static_cast<Piece&>(work).number);
  }

  size_t count_ended() {
    std::lock_guard<std::mutex> lock(mutex);
    return ended.size();
  }

  void wait_for(size_t count) {
    while (count_ended() < count) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
};

void Piece::execute() noexcept {
  const int now = ++under_way;
  int most = most_under_way;
  while (most < now && !most_under_way.compare_exchange_weak(most, now)) {
  }
  {
    std::lock_guard<std::mutex> lock(owner.mutex);
    owner.begun.push_back(number);
  }
  std::this_thread::sleep_for(time);
  under_way--;
}

/// Whether the numbers are 0, 1, 2 and so on.
bool in_order(const std::vector<int>& numbers) {
  for (size_t i = 0; i < numbers.size(); i++) {
    if (numbers[i] != static_cast<int>(i)) return false;
  }
  return true;
}

size_t size_of(cpu::WorkList list) {
  size_t size = 0;
  while (list.pop()) size++;
  return size;
}

/// With this many threads, at most `most` works are under way, and with one they are in order.
void expect_limit(int threads, int most) {
  cpu::Pool::instance().set_threads(threads);
  most_under_way = 0;
  Owner owner;
  owner.add(60, std::chrono::microseconds(200));
  owner.wait_for(60);
  cpu::WorkQueue::instance().remove(owner);
  expect_close("no more works under way than allowed", most_under_way <= most, 1, 0);
  if (threads == 1) expect_close("one after the other in order", in_order(owner.begun) && in_order(owner.ended), 1, 0);
}

/// An owner whose works are behind a long line of another owner's has its turn soon.
void expect_turns() {
  cpu::Pool::instance().set_threads(1);
  Owner first, second;
  first.add(200, std::chrono::microseconds(300));
  second.add(5, std::chrono::microseconds(1));
  second.wait_for(5);
  expect_close("the other's long line is not over", first.count_ended() < 150, 1, 0);
  expect_close("in order", in_order(second.begun), 1, 0);
  const size_t dropped = size_of(cpu::WorkQueue::instance().remove(first));
  expect_close("each work has ended or is given back", static_cast<double>(dropped + first.ended.size()), 200, 0);
  cpu::WorkQueue::instance().remove(second);
}

/// Owners come and go on many threads.
void expect_owners_leave() {
  cpu::Pool::instance().set_threads(8);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 6; t++) {
    threads.emplace_back([t, &wrong] {
      for (int round = 0; round < 30; round++) {
        Owner owner;
        owner.add(1 + (7 * t + round) % 23, std::chrono::microseconds(round % 3 * 20));
        if (round % 2 == 0) owner.wait_for(owner.pieces.size());
        const size_t dropped = size_of(cpu::WorkQueue::instance().remove(owner));
        if (dropped + owner.count_ended() != owner.pieces.size()) wrong++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_close("each work has ended or is given back", wrong, 0, 0);
}

}  // namespace

void test_work_queue() {
  const int threads = cpu::Pool::instance().threads();
  expect_limit(1, 1);
  expect_limit(2, 2);
  expect_limit(8, 4);
  expect_turns();
  expect_owners_leave();
  cpu::Pool::instance().set_threads(threads);
}

}  // namespace warpdice::test
