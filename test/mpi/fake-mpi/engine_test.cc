// native/mpi without JavaScript and without an MPI: its threads against each other, on libmpi_fake.so. Each part is a
// process of its own, because a process has one MPI and ends with it. Exits with 1 if one of them did not end as it
// should.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "math/error.h"
#include "mpi/engine.h"

namespace warpdice::mpi {
namespace {

using std::chrono::milliseconds;

constexpr int kRanks = 3;
std::atomic<int> failures{0};
std::string library;

void expect(bool holds, const char* what) {
  if (holds) return;
  failures++;
  std::fprintf(stderr, "FAILED: %s\n", what);
}

template <class Function>
Function of_fake(const char* name) {
  return reinterpret_cast<Function>(dlsym(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL), name));
}
/// What the next all-reduce does: see mpi.cc.
void plant(int what) { of_fake<void (*)(int)>("fake_mpi_plant")(what); }

/// Stands for a call of JavaScript.
class Call final : public Operation {
 public:
  using Operation::Operation;

  void finished(const OperationPointer&) noexcept override {
    std::lock_guard<std::mutex> lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }
  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};
using CallPointer = std::shared_ptr<Call>;

CallPointer make(Kind kind, int limit_ms = 10'000) {
  return std::make_shared<Call>(kind, "a call", 2, milliseconds(limit_ms));
}

CallPointer sum_of(size_t count, double value, int limit_ms = 10'000) {
  auto call = make(Kind::sum, limit_ms);
  call->type = Type::float64;
  call->count = count;
  const std::vector<double> numbers(count, value);
  call->data.resize(count * sizeof(double));
  std::memcpy(call->data.data(), numbers.data(), call->data.size());
  return call;
}

bool holds(const Call& call, double value) {
  for (size_t i = 0; i < call.count; i++) {
    double number = 0;
    std::memcpy(&number, call.data.data() + i * sizeof number, sizeof number);
    if (number != value) return false;
  }
  return !call.failed() && call.frame.extra() == 2 * kRanks;
}

/// One call to its end.
CallPointer ended(int communicator, CallPointer call) {
  Engine::instance().add(communicator, call);
  call->wait();
  return call;
}

int connected(int channel, const void* owner) {
  const auto call = make(Kind::barrier);
  expect(Engine::instance().connect(channel, owner, call), "the channel is free");
  call->wait();
  expect(!call->failed(), "connected");
  return Engine::instance().communicator_of(channel);
}

void begin() {
  Engine& engine = Engine::instance();
  expect(engine.open(library).abi == "MPICH", "the library is of MPICH's interface");
  engine.wait_at_exit(milliseconds(10'000));
  const auto call = make(Kind::barrier);
  engine.start([call](const std::string& error) {
    expect(error.empty(), "started");
    call->finished(call);
  });
  call->wait();
}

/// A worker thread of JavaScript.
void work(int channel) {
  Engine& engine = Engine::instance();
  const int mine = connected(channel, &channel);
  const int ranks = engine.place(mine).size;
  expect(ranks == kRanks && engine.place(mine).rank == 1, "rank and size");
  for (int i = 0; i < 100; i++) {
    // In the frame and behind it, waiting and not.
    const auto small = sum_of(5, i), large = sum_of(100, channel);
    engine.add(mine, small);
    engine.add(mine, large);
    engine.wait(*large);
    expect(holds(*small, kRanks * i) && holds(*large, kRanks * channel), "sums of all ranks");
    if (i % 25) continue;
    const auto split = ended(mine, make(Kind::split));
    expect(!split->failed(), "split");
    expect(holds(*ended(split->part, sum_of(1, 1)), kRanks), "a sum of a part");
    expect(!ended(split->part, make(Kind::close))->failed(), "the part is closed");
    expect(ended(split->part, make(Kind::barrier))->failed(), "it stays closed");
    auto broadcast = make(Kind::broadcast);
    broadcast->data.assign(9, 'x');
    broadcast->count = 9;
    expect(!ended(mine, broadcast)->failed(), "broadcast");
  }
  engine.release(&channel);
}

void several_threads() {
  begin();
  std::vector<std::thread> threads;
  for (const int channel : {3, 1, 4, 2}) threads.emplace_back(work, channel);
  work(0);
  for (auto& thread : threads) thread.join();
  // Another thread takes the channel of one that has ended.
  work(2);
}

bool failed_with(const Call& call, const char* code) {
  return call.failed() && std::strcmp(call.error_code, code) == 0;
}

void errors() {
  begin();
  const int mine = connected(1, "1"), other = connected(2, "2");
  plant(2);
  expect(failed_with(*ended(mine, sum_of(100, 1)), "ERR_MPI_MISMATCH"), "ranks at another call");
  expect(holds(*ended(mine, sum_of(100, 1)), kRanks), "the call after it");
  plant(3);
  expect(failed_with(*ended(mine, sum_of(1, 1)), "ERR_MPI"), "an error of MPI");
  expect(failed_with(*ended(mine, make(Kind::barrier)), "ERR_MPI"), "closed for good");
  plant(1);
  expect(failed_with(*ended(other, sum_of(1, 1, 20)), "ERR_MPI_TIMEOUT"), "ranks that do not come");
  expect(failed_with(*ended(other, sum_of(1, 1)), "ERR_MPI"), "closed for good");
}

/// MPI itself waits for a rank: whoever waits for this one is told, and the end of the process does not wait.
void blocked() {
  begin();
  const int mine = connected(0, "0"), other = connected(1, "1");
  plant(4);
  const auto split = make(Kind::split, 300), behind = sum_of(1, 1), beside = sum_of(1, 1);
  Engine::instance().add(mine, split);
  Engine::instance().add(mine, behind);
  std::this_thread::sleep_for(milliseconds(50));
  Engine::instance().add(other, beside);
  Engine::instance().wait(*beside);
  for (const auto& call : {split, behind, beside}) {
    call->wait();
    expect(failed_with(*call, "ERR_MPI_TIMEOUT"), "told within the time-out");
  }
  const auto refused = [](const auto& call) {
    try {
      call();
    } catch (const Error& error) {
      return std::string(error.code()) == "ERR_MPI";
    }
    return false;
  };
  expect(refused([&] { Engine::instance().add(other, sum_of(1, 1)); }), "later calls are refused");
  expect(refused([&] { Engine::instance().connect(2, "2", make(Kind::barrier)); }), "and new connections");
}

/// Ends while calls are under way.
void exits_in_a_call() {
  begin();
  const int mine = connected(0, "0");
  for (int i = 0; i < 3; i++) Engine::instance().add(mine, sum_of(100, 1));
}

void exits_with_an_error() {
  begin();
  connected(0, "0");
  std::exit(3);
}

/// Prints something that the launcher has not read. Returns the end from which it reads.
int print_unread() {
  int ends[2];
  expect(pipe(ends) == 0 && dup2(ends[1], STDOUT_FILENO) >= 0, "a pipe");
  begin();
  connected(0, "0");
  expect(write(STDOUT_FILENO, "why it ends", 11) == 11, "printed");
  if (failures > 0) std::_Exit(2);
  return ends[0];
}

/// A launcher that is slow to read what its ranks print.
void exits_with_an_error_unread() {
  std::thread([from = print_unread()] {
    std::this_thread::sleep_for(milliseconds(100));
    char text[11];
    if (read(from, text, sizeof text) != sizeof text) std::_Exit(2);
  }).detach();
  std::exit(4);
}

/// And one that reads nothing more: the process ends nevertheless.
void exits_with_an_error_never_read() {
  print_unread();
  std::exit(4);
}

struct Part {
  const char* name;
  void (*run)();
  int status;
};
constexpr Part parts[] = {{"several threads", several_threads, 0},
                          {"errors", errors, 1},  // a communicator is lost: the job is aborted
                          {"blocked", blocked, 1},
                          {"exit(0) in a call", exits_in_a_call, 0},
                          {"exit(3)", exits_with_an_error, 3},
                          {"exit(4), its output read late", exits_with_an_error_unread, 4},
                          {"exit(4), its output never read", exits_with_an_error_never_read, 9}};

}  // namespace
}  // namespace warpdice::mpi

int main(int count, char** arguments) {
  using namespace warpdice::mpi;
  const std::string self = arguments[0];
  library = self.substr(0, self.rfind('/')) + "/libmpi_fake.so";
  if (count > 1) {
    // Handlers run in reverse order: this one comes after those of the engine.
    std::atexit([] {
      if (!of_fake<bool (*)()>("fake_mpi_finalized")()) std::_Exit(2);
    });
    parts[std::atoi(arguments[1])].run();
    return failures == 0 ? 0 : 2;
  }
  int wrong = 0;
  for (int i = 0; i < static_cast<int>(std::size(parts)); i++) {
    const pid_t child = fork();
    if (child == 0) execl(arguments[0], arguments[0], std::to_string(i).c_str(), nullptr);
    int status = 0;
    waitpid(child, &status, 0);
    const bool well = WIFEXITED(status) && WEXITSTATUS(status) == parts[i].status;
    std::printf("warpdice/mpi, %s: %s\n", parts[i].name, well ? "ok" : "FAILED");
    wrong += !well;
  }
  return wrong == 0 ? 0 : 1;
}
