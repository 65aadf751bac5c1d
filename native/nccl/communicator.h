#pragma once
// The GPUs of a job that add up arrays: NCCL's communicator, and what becomes of it. Work with a communicator never
// waits for ever: a thread (watcher.h) looks whether it goes on, and aborts what does not.
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cuda/runtime/stream.h"
#include "math/error.h"
#include "nccl/library.h"

namespace warpdice::nccl {

using Clock = std::chrono::steady_clock;

class Communicator {
 public:
  /// Begins to wait for all ranks; ready() says when they have come. Throws Error("ERR_NCCL").
  static std::shared_ptr<Communicator> begin(int device, int ranks, int rank, const UniqueId& id,
                                             Clock::duration timeout);

  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  /// Aborts it unless it was closed.
  ~Communicator();

  int device() const { return device_; }
  int ranks() const { return ranks_; }

  /// Whether what begin() or begin_close() began is done. Throws when it failed, or took longer than the time-out.
  bool ready();

  /// Enqueues the sum of the ranks' arrays, in place. name: of the call, for messages.
  void all_reduce(void* data, size_t count, DType dtype, cudaStream_t stream, const std::string& name);

  /// Call this when work with an all-reduce was enqueued: from now on it is watched.
  void watch(const cuda::Stream& stream);

  /// Throws when it was closed, or an earlier error has ended it.
  void expect_usable(const std::string& name);

  /// Throws the error that has ended it, if any.
  void expect_whole() const;

  /// A graph with its work was made, or is about to be destroyed.
  void add_graph() { graphs_++; }
  void remove_graph() { graphs_--; }

  /// Whether nothing is under way.
  bool idle() const;
  /// Later calls throw ERR_DISPOSED. ready() then says when it has ended. Throws while there are graphs: NCCL would
  /// wait for their end.
  void begin_close();

  /// Of the watcher's thread. Returns whether anything is under way.
  bool look();

 private:
  struct Watched {
    std::unique_ptr<cuda::Event> event;
    Clock::time_point since;
  };

  Communicator(std::shared_ptr<const Library> library, int device, int ranks, Clock::duration timeout)
      : library_(std::move(library)), device_(device), ranks_(ranks), timeout_(timeout) {}

  /// Ends it for good. The mutex is held.
  void lose(const char* code, const std::string& message);
  void throw_lost() const;
  std::string late(const std::string& what) const;

  const std::shared_ptr<const Library> library_;
  const int device_, ranks_;
  const Clock::duration timeout_;

  std::atomic<int> graphs_{0};
  mutable std::mutex mutex_;
  Handle handle_ = nullptr;  // null: freed
  Clock::time_point began_;  // begin() or begin_close()
  std::string doing_ = "connect";
  bool closing_ = false;
  const char* lost_code_ = nullptr;
  std::string lost_message_;
  std::deque<Watched> watched_;  // in the order in which they were enqueued
  std::vector<std::unique_ptr<cuda::Event>> idle_events_;
  Clock::time_point progress_;  // when one of them was done last
};

}  // namespace warpdice::nccl
