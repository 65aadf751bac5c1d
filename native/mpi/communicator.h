#pragma once
// A communicator and the calls that wait for it. One call is under way at a time, in the order of the calls. Only the
// MPI thread uses this class.
#include <deque>
#include <string>
#include <vector>

#include "mpi/library.h"
#include "mpi/operation.h"

namespace warpdice::mpi {

class Communicator {
 public:
  Communicator(Library& library, Handle handle);

  int rank() const { return rank_; }
  int size() const { return size_; }

  void add(OperationPointer operation) { queue_.push_back(std::move(operation)); }
  bool busy() const { return current_ != nullptr || !queue_.empty(); }
  /// Whether a call has failed in a way that leaves MPI waiting: it can never be finalized.
  bool lost() const { return waits_; }
  /// The next call, if it has not begun.
  const Operation* next() const { return current_ || queue_.empty() ? nullptr : queue_.front().get(); }

  /// Begins the next call where none is under way. Returns the call that this has ended, if any.
  OperationPointer begin();
  /// Looks after the call under way. Returns it when it has ended, well or not.
  OperationPointer poll();
  /// Whether all ranks agree to a split or a close, for which block() and end_block() are to be called.
  bool wants_block() const { return wants_block_; }
  /// Makes MPI's own call, which waits for all ranks, and nothing can end it. part: what a split has made. Returns
  /// MPI's error.
  int block(Handle& part);
  OperationPointer end_block(int error);

  /// Adds the calls that have not ended.
  void append_waiting(std::vector<OperationPointer>& all) const;

 private:
  OperationPointer start_frame();
  OperationPointer after_frame();
  OperationPointer next_piece();
  OperationPointer started(int error, const char* function);
  OperationPointer end();
  OperationPointer lose(const char* code, const std::string& message);

  Library& library_;
  Handle handle_;
  int rank_, size_;
  std::deque<OperationPointer> queue_;
  OperationPointer current_;
  Handle request_{};
  bool in_frame_ = false, wants_block_ = false;
  size_t at_ = 0;  // elements of the current call that are done or under way
  Clock::time_point deadline_;
  std::string lost_;  // why no further call can be made
  bool waits_ = false;
};

}  // namespace warpdice::mpi
