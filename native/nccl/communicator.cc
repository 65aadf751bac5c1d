#include "nccl/communicator.h"

#include <algorithm>
#include <thread>

#include "nccl/watcher.h"

namespace warpdice::nccl {

std::shared_ptr<Communicator> Communicator::begin(int device, int ranks, int rank, const UniqueId& id,
                                                  Clock::duration timeout) {
  const auto library = Library::opened();
  std::shared_ptr<Communicator> made(new Communicator(library, device, ranks, timeout));
  cuda::use_device(device);
  made->began_ = Clock::now();
  const Result result = library->init(made->handle_, ranks, id, rank);
  if (result != Result::success && result != Result::in_progress) {
    const std::string words = library->text("ncclCommInitRankConfig", result, nullptr);
    cudaGetLastError();  // clears the error, or a later call would report it
    throw Error("ERR_NCCL", words);
  }
  Watcher::add(made);
  return made;
}

Communicator::~Communicator() {
  if (!handle_) return;
  const cuda::DeviceScope scope(device_);
  library_->abort(handle_);
}

bool Communicator::ready() {
  std::lock_guard<std::mutex> lock(mutex_);
  throw_lost();
  if (!handle_) return true;
  cuda::use_device(device_);
  const Result state = library_->state(handle_);
  if (state == Result::success) {
    if (!closing_) return true;
    const Result result = library_->destroy(handle_);
    handle_ = nullptr;
    if (result != Result::success) lose("ERR_NCCL", library_->text("ncclCommDestroy", result, nullptr));
  } else if (state != Result::in_progress) {
    lose("ERR_NCCL", library_->text(doing_.c_str(), state, handle_));
  } else if (Clock::now() - began_ > timeout_) {
    lose("ERR_NCCL_TIMEOUT", late(doing_));
  }
  throw_lost();
  return !handle_;
}

void Communicator::all_reduce(void* data, size_t count, DType dtype, cudaStream_t stream, const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  throw_lost();
  Result result = library_->all_reduce(data, count, dtype, handle_, stream);
  // The first call of a kind may have to connect the ranks: only then is it enqueued.
  for (const auto start = Clock::now(); result == Result::in_progress; result = library_->state(handle_)) {
    if (Clock::now() - start > timeout_) {
      lose("ERR_NCCL_TIMEOUT", late(name));
      throw_lost();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  if (result == Result::success) return;
  lose("ERR_NCCL", library_->text("ncclAllReduce", result, handle_) + " in " + name);
  throw_lost();
}

void Communicator::watch(const cuda::Stream& stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::unique_ptr<cuda::Event> event;
  if (idle_events_.empty()) {
    event = std::make_unique<cuda::Event>(device_);
  } else {
    event = std::move(idle_events_.back());
    idle_events_.pop_back();
  }
  event->record(stream);
  watched_.push_back({std::move(event), Clock::now()});
  Watcher::wake();
}

void Communicator::expect_usable(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  throw_lost();
  if (!closing_) return;
  throw Error("ERR_DISPOSED", "Expected an open communicator for " + name + " but received a closed one");
}

void Communicator::expect_whole() const {
  std::lock_guard<std::mutex> lock(mutex_);
  throw_lost();
}

bool Communicator::idle() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return watched_.empty();
}

void Communicator::begin_close() {
  std::lock_guard<std::mutex> lock(mutex_);
  throw_lost();
  if (graphs_ > 0) {
    throw Error("ERR_NCCL", "Expected no plans that use the communicator at its close but there are " +
                                std::to_string(graphs_) + ": dispose() them first");
  }
  closing_ = true;
  doing_ = "close";
  began_ = Clock::now();
  cuda::use_device(device_);
  const Result result = library_->finalize(handle_);
  if (result == Result::success || result == Result::in_progress) return;
  lose("ERR_NCCL", library_->text("ncclCommFinalize", result, handle_));
  throw_lost();
}

bool Communicator::look() {
  std::lock_guard<std::mutex> lock(mutex_);
  while (!watched_.empty() && watched_.front().event->query() != cudaErrorNotReady) {
    idle_events_.push_back(std::move(watched_.front().event));
    watched_.pop_front();
    progress_ = Clock::now();
  }
  if (watched_.empty() || lost_code_) return !watched_.empty();
  const Result state = library_->state(handle_);
  if (state != Result::success && state != Result::in_progress) {
    lose("ERR_NCCL", library_->text("An all-reduce", state, handle_));
  } else if (Clock::now() - std::max(progress_, watched_.front().since) > timeout_) {
    lose("ERR_NCCL_TIMEOUT", late("an all-reduce"));
  }
  return true;
}

void Communicator::lose(const char* code, const std::string& message) {
  // First the error, then the abort: whoever reads a result when the aborted work has ended finds it.
  lost_code_ = code;
  lost_message_ = message + ". This communicator is closed for good";
  if (!handle_) return;
  // On a thread of its own: it ends NCCL's kernels at once, but then waits for the end of graphs that have some.
  std::thread([library = library_, handle = handle_, device = device_] {
    cudaSetDevice(device);
    library->abort(handle);
  }).detach();
  handle_ = nullptr;
}

void Communicator::throw_lost() const {
  if (lost_code_) throw Error(lost_code_, lost_message_);
}

std::string Communicator::late(const std::string& what) const {
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count();
  return "Expected all " + std::to_string(ranks_) + " ranks in " + what + " within " + std::to_string(limit) +
         " ms but some have not come: they have ended, are late, or wait in another call";
}

}  // namespace warpdice::nccl
