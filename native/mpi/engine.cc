#include "mpi/engine.h"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <system_error>
#include <thread>

#include "math/error.h"

namespace warpdice::mpi {
namespace {

/// Looks at MPI before the thread sleeps between them. More is no faster where ranks share cores, and keeps those busy.
constexpr int kSpins = 200;
constexpr long kSleepNs = 50'000;

void pause(int idle) {
  if (idle < kSpins) {
    sched_yield();
    return;
  }
  const timespec time{0, kSleepNs};
  nanosleep(&time, nullptr);
}

}  // namespace

Engine& Engine::instance() {
  static Engine& engine = *new Engine;
  return engine;
}

// --- of the threads of JavaScript ---

const Version& Engine::open(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!library_) library_ = Library::open(path);
  return library_->version();
}

void Engine::start(const Started& started) {
  std::string error;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!library_) throw Error("ERR_MPI", "Expected open() before start()");
    if (phase_ == Phase::none) {
      starters_.reserve(1);
      std::thread([this] { run(); }).detach();
      phase_ = Phase::starting;
    }
    if (phase_ == Phase::starting) {
      starters_.push_back(started);
      return;
    }
    error = start_error_;
  }
  started(error);
}

bool Engine::connect(int channel, const void* owner, const OperationPointer& operation) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!given_up_.empty()) throw Error("ERR_MPI", given_up_);
  const auto at = static_cast<size_t>(channel);
  if (owners_.size() <= at) owners_.resize(at + 1);
  if (owners_[at] && owners_[at] != owner) return false;
  owners_[at] = owner;
  new_connections_.push_back({channel, operation, Clock::now() + operation->timeout});
  wake_.notify_all();
  return true;
}

int Engine::communicator_of(int channel) {
  std::lock_guard<std::mutex> lock(mutex_);
  return channels_.at(static_cast<size_t>(channel));
}

void Engine::release(const void* owner) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::replace(owners_.begin(), owners_.end(), owner, static_cast<const void*>(nullptr));
}

Place Engine::place(int communicator) {
  std::lock_guard<std::mutex> lock(mutex_);
  return places_.at(static_cast<size_t>(communicator));
}

void Engine::add(int communicator, const OperationPointer& operation) {
  std::lock_guard<std::mutex> lock(mutex_);
  static_cast<void>(places_.at(static_cast<size_t>(communicator)));
  if (phase_ != Phase::ready) throw Error("ERR_MPI", "MPI is finalized");
  if (!given_up_.empty()) {
    throw Error("ERR_MPI", "Expected a communicator in order for " + operation->name + " but " + given_up_);
  }
  new_.push_back({communicator, operation});
  wake_.notify_all();
}

void Engine::wait(const Operation& operation) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return operation.ended; });
}

void Engine::wait_at_exit(Clock::duration limit) {
  std::lock_guard<std::mutex> lock(mutex_);
  exit_limit_ = std::max(exit_limit_, limit);
}

// --- of the MPI thread ---

void Engine::run() {
  const std::string error = start_mpi();
  std::vector<Started> starters;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    phase_ = error.empty() ? Phase::ready : Phase::failed;
    start_error_ = error;
    starters.swap(starters_);
  }
  for (const Started& started : starters) started(error);
  if (error.empty()) loop();
}

std::string Engine::start_mpi() {
  const auto register_exit = [this] {
#ifdef __GLIBC__
    on_exit([](int status, void* self) { static_cast<Engine*>(self)->end(status); }, this);
#else
    static_cast<void>(this);
    std::atexit([] { instance().end(0); });  // how the process ends is not known here
#endif
  };
  // Handlers of exit run in reverse order. This one is for a process that ends while MPI_Init_thread waits for other
  // ranks.
  register_exit();
  try {
    if (const int error = library_->init()) return "MPI_Init_thread failed: " + library_->text(error);
  } catch (const Error& error) {
    return error.what();
  }
  register_exit();  // and this one runs before those of MPI
  return {};
}

void Engine::loop() {
  bool aborts = false;
  int status = 0;
  for (int idle = 0;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      if (!given_up_.empty()) {
        wake_.wait(lock, [this] { return ending_ != Ending::none; });
        aborts = true;
        status = status_;
        break;
      }
      const auto awake = [this] { return !new_.empty() || !new_connections_.empty() || ending_ != Ending::none; };
      if (!busy()) wake_.wait(lock, awake);
      receive();
      aborts = ending_ == Ending::abort || lost();
      status = status_;
      if (ending_ == Ending::abort || (ending_ == Ending::finalize && !busy())) break;
    }
    bool moved = advance_connections();
    for (size_t i = 0; i < communicators_.size(); ++i) moved |= advance(i);
    if (moved) idle = 0;
    else pause(idle++);
  }
  if (aborts) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      phase_ = Phase::finalized;  // MPI_Abort may call exit(), which comes to end()
    }
    library_->abort(status ? status : 1);
    std::_Exit(1);
  }
  library_->finalize();
  std::lock_guard<std::mutex> lock(mutex_);
  phase_ = Phase::finalized;
  start_error_ = "MPI is finalized";
  changed_.notify_all();
}

bool Engine::busy() const {
  return !connections_.empty() ||
         std::any_of(communicators_.begin(), communicators_.end(), [](const auto& one) { return one->busy(); });
}

bool Engine::lost() const {
  return coming_under_way_ ||
         std::any_of(communicators_.begin(), communicators_.end(), [](const auto& one) { return one->lost(); });
}

/// Takes over what the threads of JavaScript have asked for. The mutex is held.
void Engine::receive() {
  for (New& one : new_) {
    if (one.operation->blocks()) blocking_.push_back(one.operation.get());
    communicators_[static_cast<size_t>(one.communicator)]->add(std::move(one.operation));
  }
  new_.clear();
  std::move(new_connections_.begin(), new_connections_.end(), std::back_inserter(connections_));
  new_connections_.clear();
}

/// Returns whether anything has changed.
bool Engine::advance(size_t index) {
  Communicator& one = *communicators_[index];  // stays where it is when a part is added
  if (!one.busy() || !given_up_.empty()) return false;
  bool moved = false;
  const Operation* next = one.next();
  // Splits and closes block this thread. Two of them at a time, in another order on another rank, would wait for each
  // other.
  if (next && (!next->blocks() || next == blocking_.front())) {
    moved = true;
    if (const OperationPointer ended = one.begin()) finish(ended);
  }
  if (const OperationPointer ended = one.poll()) {
    moved = true;
    finish(ended);
  }
  if (one.wants_block()) {
    moved = true;
    block(one);
  }
  return moved;
}

/// Another thread looks at the time meanwhile, as ranks that are gone would keep this one for ever.
void Engine::block(Communicator& one) {
  std::vector<OperationPointer> waiting;
  one.append_waiting(waiting);
  blocked_ = true;
  std::thread watch;
  try {
    watch = std::thread([this, operation = waiting.front()] {
      std::unique_lock<std::mutex> lock(mutex_);
      if (!unblocked_.wait_for(lock, operation->timeout, [this] { return !blocked_; })) give_up(lock, *operation);
    });
  } catch (const std::system_error&) {
    // No thread is to be had: then without a limit.
  }
  Handle part{};
  const int error = one.block(part);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    blocked_ = false;
  }
  unblocked_.notify_all();
  if (watch.joinable()) watch.join();
  if (!given_up_.empty()) return;
  const OperationPointer ended = one.end_block(error);
  if (ended->kind == Kind::split && !ended->failed()) ended->part = add_communicator(part);
  finish(ended);
}

/// Ends all calls that wait. The MPI thread is in MPI, and touches none of them any more.
void Engine::give_up(std::unique_lock<std::mutex>& lock, const Operation& blocked) {
  given_up_ = "an earlier call has closed it: Expected all ranks in " + blocked.name +
              " within its time-out but some have not come";
  std::vector<OperationPointer> waiting;
  for (const auto& one : communicators_) one->append_waiting(waiting);
  for (const New& one : new_) waiting.push_back(one.operation);
  for (const auto* list : {&connections_, &new_connections_}) {
    for (const Connection& one : *list) waiting.push_back(one.operation);
  }
  for (const auto& operation : waiting) {
    operation->fail("ERR_MPI_TIMEOUT", "Expected all ranks in " + blocked.name +
                                           " within its time-out but some have not come. All communicators are "
                                           "closed for good");
    operation->ended = true;
  }
  changed_.notify_all();
  lock.unlock();
  for (const auto& operation : waiting) operation->finished(operation);
}

/// The channels are copies of MPI's own communicator, made in the order of their numbers: that is the same on all
/// ranks, whichever thread asks first.
bool Engine::advance_connections() {
  if (connections_.empty()) return false;
  make_next_channel();
  bool moved = false;
  for (size_t i = 0; i < connections_.size();) {
    const Connection one = connections_[i];
    const bool ready = one.channel < static_cast<int>(channels_.size());
    if (!ready && !one.operation->failed()) {
      if (Clock::now() < one.deadline) {
        ++i;
        continue;
      }
      one.operation->fail("ERR_MPI_TIMEOUT", "Expected all ranks in " + one.operation->name +
                                                 " within its time-out but some have not come");
    }
    connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(i));
    finish(one.operation);
    moved = true;
  }
  return moved;
}

void Engine::make_next_channel() {
  const auto fail = [this](int error) {
    for (const Connection& one : connections_) {
      one.operation->fail("ERR_MPI", "MPI_Comm_idup failed: " + library_->text(error));
    }
  };
  const bool wanted = std::any_of(connections_.begin(), connections_.end(), [this](const Connection& one) {
    return one.channel >= static_cast<int>(channels_.size());
  });
  if (wanted && !coming_under_way_) {
    if (const int error = library_->duplicate(library_->world(), coming_, coming_request_)) return fail(error);
    coming_under_way_ = true;
  }
  if (!coming_under_way_) return;
  bool done = false;
  if (const int error = library_->test(coming_request_, done)) return fail(error);
  if (!done) return;
  coming_under_way_ = false;
  const int communicator = add_communicator(coming_);
  std::lock_guard<std::mutex> lock(mutex_);
  channels_.push_back(communicator);
}

int Engine::add_communicator(Handle handle) {
  communicators_.push_back(std::make_unique<Communicator>(*library_, handle));
  std::lock_guard<std::mutex> lock(mutex_);
  places_.push_back({communicators_.back()->rank(), communicators_.back()->size()});
  return static_cast<int>(places_.size()) - 1;
}

void Engine::finish(const OperationPointer& operation) {
  if (operation->blocks()) blocking_.erase(std::find(blocking_.begin(), blocking_.end(), operation.get()));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    operation->ended = true;
  }
  changed_.notify_all();
  operation->finished(operation);
}

// --- at the end of the process ---

/// Node has printed an uncaught error before it comes here. A rank that ends well waits for the others in MPI_Finalize;
/// one that does not ends them all, as they would wait for it.
void Engine::end(int status) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (phase_ == Phase::starting) {  // it cannot be aborted, and the library's own end would meet its beginning
    std::fflush(nullptr);
    _exit(status);
  }
  if (phase_ != Phase::ready) return;
  status_ = status;
  if (status == 0 && given_up_.empty()) {
    ending_ = Ending::finalize;
    wake_.notify_all();
    if (changed_.wait_for(lock, exit_limit_, [this] { return phase_ == Phase::finalized; })) return;
    std::fprintf(stderr, "warpdice/mpi: not all ranks have ended within the time-out: the job is aborted\n");
  }
  ending_ = Ending::abort;
  wake_.notify_all();
  changed_.wait_for(lock, std::chrono::seconds(2), [] { return false; });  // MPI_Abort ends the process
  phase_ = Phase::finalized;
  lock.unlock();
  library_->abort(status ? status : 1);
  std::_Exit(1);
}

}  // namespace warpdice::mpi
