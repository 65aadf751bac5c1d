// The scheduler. It runs one block at a time; its threads are fibers that run until they wait or end.
#include "simt.h"

#include <ucontext.h>

#include <algorithm>
#include <list>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <vector>

#include "sanitizers.h"

uint3 threadIdx{}, blockIdx{};
dim3 blockDim, gridDim;

namespace simt {

constexpr int kWarp = 32;
constexpr unsigned kMaxThreads = 1024;
constexpr size_t kStackBytes = 64 * 1024;

enum class State : uint8_t { ready, at_barrier, at_exchange, ended };

// Not setjmp and longjmp, which take longer, and which sanitizers intercept: jumps between stacks would confuse them.
using Jump = void* [5];
#define SIMT_SET_JUMP(jump) __builtin_setjmp(jump)
#define SIMT_JUMP(jump) __builtin_longjmp(jump, 1)

/// A stack on which one thread after the other runs.
struct Fiber {
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  void* sanitizer = new_fiber();
  ucontext_t context;  // where it begins
  Jump resume;         // where it continues; a jump needs no system call
  bool begun = false;
  bool ended = false;  // whether its last thread has ended, so that it can run another one
};

/// What the threads of a block share. To ThreadSanitizer an address stands for an order of accesses, so no two blocks
/// of a launch may share one.
struct BlockMemory {
  std::vector<unsigned char> shared;
  char barriers[2];  // they take turns: a thread may reach the next barrier before all have left this one
  char warps[kMaxThreads / kWarp];

  explicit BlockMemory(size_t shared_bytes) : shared(shared_bytes, static_cast<unsigned char>(0xff)) {}
};

struct Thread {
  bool fenced;  // __threadfence was called, by it or, before a barrier, by every thread of the block
  Fiber* fiber;
  uint3 index;
  State state;
  const char* file;  // where it waits
  int line;
  Operation operation;
  unsigned mask;
  uint64_t in, out;
  int argument;
};

namespace {

/// The memory of the scheduler, which launches reuse.
struct Machine {
  std::vector<Thread> threads;
  std::vector<Fiber> fibers;
  Jump scheduler;
  void* scheduler_fiber = nullptr;
  Thread* current = nullptr;
  unsigned count = 0;  // threads of the block
  size_t shared_bytes = 0;
  size_t blocks_run = 0;          // of this launch
  std::list<BlockMemory> blocks;  // the running one is the last
  const std::function<void()>* body = nullptr;
  std::string fault;

  char launch, end;          // their addresses stand for the orders before all blocks, and after them
  unsigned barrier = 0;      // the next of BlockMemory::barriers
  void* observed = nullptr;  // the atomic variable that a thread of the block has changed last
};

/// Never destroyed: a kernel may still run while the process ends.
Machine& machine() {
  static auto* only = new Machine;
  return *only;
}

std::string place(const Thread& thread) {
  return "thread " + std::to_string(&thread - machine().threads.data()) + " at " + thread.file + ":" +
         std::to_string(thread.line);
}

void fail(const std::string& what) {
  Machine& m = machine();
  if (m.fault.empty()) m.fault = what + " (block " + std::to_string(blockIdx.x) + ")";
}

/// Returns to the scheduler until the thread is ready again.
__attribute__((noinline)) void wait(State state) {
  Machine& m = machine();
  m.current->state = state;
  if (SIMT_SET_JUMP(m.current->fiber->resume) != 0) return;
  enter_fiber(m.scheduler_fiber);
  SIMT_JUMP(m.scheduler);
}

/// Runs the thread until it waits or ends.
__attribute__((noinline)) void resume(Thread& thread) {
  Machine& m = machine();
  m.current = &thread;
  threadIdx = thread.index;
  if (SIMT_SET_JUMP(m.scheduler) != 0) return;
  Fiber& fiber = *thread.fiber;
  enter_fiber(fiber.sanitizer);
  if (fiber.begun) SIMT_JUMP(fiber.resume);
  fiber.begun = true;
  setcontext(&fiber.context);
}

/// Runs one thread after the other.
void fiber_main() {
  for (Machine& m = machine();;) {
    acquire(&m.launch);
    (*m.body)();
    release(&m.end);
    m.current->fiber->ended = true;
    wait(State::ended);
  }
}

void start(Thread& thread, unsigned number) {
  const dim3 size = blockDim;
  thread.index = {number % size.x, number / size.x % size.y, number / (size.x * size.y)};
  thread.state = State::ready;
  thread.fenced = false;
  Fiber& fiber = *thread.fiber;
  if (std::exchange(fiber.ended, false)) return;
  fiber.begun = false;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = kStackBytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
}

/// Opens the barrier when every thread of the block waits at it. Returns whether it did.
bool open_barrier() {
  Machine& m = machine();
  const auto end = m.threads.begin() + m.count;
  const auto waits = [](const Thread& thread) { return thread.state == State::at_barrier; };
  const auto first = std::find_if(m.threads.begin(), end, waits);
  if (first == end) return false;
  for (auto thread = m.threads.begin(); thread != end; ++thread) {
    if (thread->state == State::ended) {
      fail("__syncthreads after a thread of the block has ended: " + place(*first));
      return false;
    }
    if (!waits(*thread)) return false;
    if (thread->line != first->line || std::strcmp(thread->file, first->file) != 0) {
      fail("divergent __syncthreads: " + place(*first) + ", " + place(*thread));
      return false;
    }
  }
  const bool fenced = std::all_of(m.threads.begin(), end, [](const Thread& thread) { return thread.fenced; });
  std::for_each(m.threads.begin(), end, [fenced](Thread& thread) {
    thread.state = State::ready;
    thread.fenced = fenced;
  });
  m.barrier ^= 1;
  return true;
}

int source_lane(const Thread& thread, int lane) {
  switch (thread.operation) {
    case Operation::shuffle_xor:
      return lane ^ thread.argument;
    case Operation::shuffle_down:
      return lane + thread.argument < kWarp ? lane + thread.argument : lane;
    case Operation::shuffle_from:
      return thread.argument & (kWarp - 1);
    case Operation::ballot:
    case Operation::sync:
      return lane;
  }
  return lane;
}

/// Does the exchange that a thread waits for, when all lanes of its mask wait for it. Returns whether it did.
bool do_exchange(unsigned number) {
  Machine& m = machine();
  const unsigned first = number / kWarp * kWarp;
  const Thread& thread = m.threads[number];
  if (!(thread.mask >> (number - first) & 1)) {
    fail("the mask does not name the calling lane: " + place(thread));
    return false;
  }
  for (int lane = 0; lane < kWarp; lane++) {
    if (!(thread.mask >> lane & 1)) continue;
    if (first + lane >= m.count || m.threads[first + lane].state == State::ended) {
      fail("the mask names a lane that is absent or has ended: " + place(thread));
      return false;
    }
    const Thread& other = m.threads[first + lane];
    if (other.state != State::at_exchange) return false;
    if (other.mask != thread.mask || other.line != thread.line || other.operation != thread.operation) {
      fail("lanes of one mask wait at different operations: " + place(thread) + ", " + place(other));
      return false;
    }
  }
  const unsigned mask = thread.mask;
  uint64_t votes = 0;
  for (int lane = 0; lane < kWarp; lane++) {
    if (mask >> lane & 1 && m.threads[first + lane].in) votes |= uint64_t{1} << lane;
  }
  for (int lane = 0; lane < kWarp; lane++) {
    if (!(mask >> lane & 1)) continue;
    Thread& to = m.threads[first + lane];
    const int from = source_lane(to, lane);
    if (to.operation == Operation::ballot) {
      to.out = votes;
      continue;
    }
    // From a lane outside the mask comes a value that no program can use.
    to.out = from < kWarp && mask >> from & 1 ? m.threads[first + from].in : ~uint64_t{0};
  }
  for (int lane = 0; lane < kWarp; lane++) {
    if (mask >> lane & 1) m.threads[first + lane].state = State::ready;
  }
  return true;
}

/// The numbers from 0 to count - 1, in the order of their turns.
std::vector<unsigned> turns(unsigned count, std::mt19937& random) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (config().order == Order::backward) std::reverse(order.begin(), order.end());
  if (config().order == Order::random) std::shuffle(order.begin(), order.end(), random);
  return order;
}

void run_block(std::mt19937& random) {
  Machine& m = machine();
  // Shared memory starts as NaN in every type, so that a read before the first write shows. It has exactly the size
  // that the launch asked for, so that AddressSanitizer sees what lies beyond.
  m.blocks.emplace_back(m.shared_bytes);
  if (!kLooksForRaces && m.blocks.size() > 1) m.blocks.pop_front();
  release(&m.launch);
  m.observed = nullptr;
  // ThreadSanitizer is slow with thousands of fibers, so blocks reuse them. Blocks on the same fibers count as ordered.
  constexpr size_t kSets = kLooksForRaces ? 4 : 1;
  if (m.fibers.size() < kSets * m.count) m.fibers.resize(kSets * m.count);
  Fiber* fibers = &m.fibers[m.blocks_run++ % kSets * m.count];
  for (unsigned i = 0; i < m.count; i++) {
    m.threads[i].fiber = fibers + i;
    start(m.threads[i], i);
  }
  std::vector<unsigned> order = turns(m.count, random);
  for (bool moved = true; moved && m.fault.empty();) {
    moved = false;
    for (unsigned i : order) {
      Thread& thread = m.threads[i];
      if (thread.state == State::at_exchange && do_exchange(i)) moved = true;
      if (thread.state != State::ready) continue;
      resume(thread);
      moved = true;
    }
    if (open_barrier()) moved = true;
    if (config().order == Order::random) order = turns(m.count, random);
  }
  for (unsigned i = 0; i < m.count; i++) {
    if (m.threads[i].state != State::ended) fail("no thread can go on: " + place(m.threads[i]));
  }
}

}  // namespace

cudaError_t run_grid(const std::function<void()>& body, dim3 grid, dim3 block, size_t shared_bytes) {
  static auto* one_at_a_time = new std::mutex;
  const std::lock_guard<std::mutex> lock(*one_at_a_time);
  Machine& m = machine();
  if (!m.fault.empty()) {
    for (Fiber& fiber : m.fibers) clear_stack(fiber.stack.get(), kStackBytes);
  }
  m.fault.clear();
  m.body = &body;
  gridDim = grid;
  blockDim = block;
  m.count = block.x * block.y * block.z;
  if (m.threads.size() < m.count) m.threads = std::vector<Thread>(m.count);
  m.blocks_run = 0;
  m.shared_bytes = shared_bytes;
  m.blocks.clear();
  m.scheduler_fiber = this_fiber();
  std::mt19937 random(config().seed);
  const unsigned blocks = grid.x * grid.y * grid.z;
  const unsigned outer = config().last_blocks && blocks > 1024 ? config().last_blocks : blocks;
  for (unsigned number : turns(blocks, random)) {
    if (number >= outer && number < blocks - outer) continue;
    blockIdx = {number % grid.x, number / grid.x % grid.y, number / (grid.x * grid.y)};
    run_block(random);
    if (!m.fault.empty()) return cudaErrorLaunchFailure;
  }
  acquire(&m.end);
  return cudaSuccess;
}

Config& config() {
  static auto* only = new Config;
  return *only;
}

const std::string& last_fault() { return machine().fault; }

unsigned char* shared_bytes() { return machine().blocks.back().shared.data(); }

void barrier(const char* file, int line) {
  Machine& m = machine();
  Thread& thread = *m.current;
  thread.file = file;
  thread.line = line;
  char* order = &m.blocks.back().barriers[m.barrier];
  release(order);
  wait(State::at_barrier);
  acquire(order);
}

void fence() {
  Machine& m = machine();
  m.current->fenced = true;
  if (m.observed) acquire(m.observed);
}

void before_atomic(void* address) {
  Thread& thread = *machine().current;
  if (thread.fenced) release(address);
  thread.fenced = false;
}

void after_atomic(void* address) { machine().observed = address; }

uint64_t exchange(Operation operation, unsigned mask, uint64_t bits, int argument, const char* file, int line) {
  Thread& thread = *machine().current;
  thread.operation = operation;
  thread.mask = mask;
  thread.in = bits;
  thread.argument = argument;
  thread.file = file;
  thread.line = line;
  // Only __syncwarp orders memory. One address for all of a warp orders a little more than a GPU does.
  char* order = &machine().blocks.back().warps[(&thread - machine().threads.data()) / kWarp];
  if (operation == Operation::sync) release(order);
  wait(State::at_exchange);
  if (operation == Operation::sync) acquire(order);
  return thread.out;
}

}  // namespace simt
