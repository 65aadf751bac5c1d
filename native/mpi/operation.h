#pragma once
// One collective call of this rank: what it is, the memory that MPI works on, and what became of it.
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "math/frame.h"
#include "mpi/library.h"

namespace warpdice::mpi {

using Clock = std::chrono::steady_clock;

/// close is of a communicator that split has made.
enum class Kind { sum, broadcast, barrier, split, close };

class Operation;
using OperationPointer = std::shared_ptr<Operation>;

/// The memory is the operation's own: after a time-out MPI may still write to it, so that it can never be freed.
class Operation {
 public:
  Operation(Kind kind, std::string name, double extra, Clock::duration timeout)
      : kind(kind), name(std::move(name)), timeout(timeout), frame(this->name, extra) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  /// On the MPI thread, when all below is written.
  virtual void finished(const OperationPointer& self) noexcept = 0;

  /// Whether MPI has calls for it that block the MPI thread only.
  bool blocks() const { return kind == Kind::split || kind == Kind::close; }

  bool failed() const { return error_code != nullptr; }
  void fail(const char* code, std::string message) {
    error_code = code;
    error_message = std::move(message);
  }

  const Kind kind;
  const std::string name;  // for the frame and for messages
  const Clock::duration timeout;
  Frame frame;

  Type type = Type::byte;
  std::vector<char> data;  // of sum and broadcast: what goes in and what comes out
  size_t count = 0;        // its elements
  int root = 0;
  int color = 0, key = 0;  // of split
  int part = -1;           // of split: the new communicator

  const char* error_code = nullptr;
  std::string error_message;
  bool ended = false;  // read and written under the engine's mutex
};

}  // namespace warpdice::mpi
