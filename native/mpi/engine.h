#pragma once
// MPI in this process: one thread makes all of its calls, from MPI_Init_thread to MPI_Finalize. So MPI needs no thread
// safety, no call blocks JavaScript unless it wants to wait, every wait has a limit, and worker threads share one MPI.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "mpi/communicator.h"
#include "mpi/library.h"
#include "mpi/operation.h"

namespace warpdice::mpi {

struct Place {
  int rank, size;
};

class Engine {
 public:
  /// It is never destroyed: its thread may run until the process ends.
  static Engine& instance();

  /// Opens a library, unless one is open. Returns that one's version.
  const Version& open(const std::string& path);

  using Started = std::function<void(const std::string& error)>;
  /// Begins MPI_Init_thread, once in a process. `started` gets an empty text when all is well: on the MPI thread or,
  /// where that has happened before, at once.
  void start(const Started& started);

  /// Asks for communicator `channel` of all ranks, for one thread of JavaScript. The operation ends when all ranks have
  /// asked for it and for those below it. Returns whether no other thread has it.
  bool connect(int channel, const void* owner, const OperationPointer& operation);
  /// The number of the communicator, once connect() has ended well.
  int communicator_of(int channel);
  void release(const void* owner);

  /// Throws for a communicator that there is not.
  Place place(int communicator);
  void add(int communicator, const OperationPointer& operation);
  /// Blocks until the operation has ended.
  void wait(const Operation& operation);

  /// How long the end of the process waits for the other ranks. The longest one that was ever set counts.
  void wait_at_exit(Clock::duration limit);

 private:
  enum class Phase { none, starting, ready, failed, finalized };
  enum class Ending { none, finalize, abort };
  struct New {
    int communicator;
    OperationPointer operation;
  };
  struct Connection {
    int channel;
    OperationPointer operation;
    Clock::time_point deadline;
  };

  Engine() = default;
  void run();
  std::string start_mpi();
  void loop();
  bool busy() const;
  bool lost() const;
  void receive();
  bool advance(size_t index);
  bool advance_connections();
  void make_next_channel();
  int add_communicator(Handle handle);
  void block(Communicator& one);
  void give_up(std::unique_lock<std::mutex>& lock, const Operation& blocked);
  void finish(const OperationPointer& operation);
  void end(int status);

  std::mutex mutex_;  // for all up to the next comment
  std::condition_variable wake_, changed_, unblocked_;
  std::unique_ptr<Library> library_;
  Phase phase_ = Phase::none;
  Ending ending_ = Ending::none;
  int status_ = 0;  // of the process that ends
  Clock::duration exit_limit_{};
  std::string start_error_;
  bool blocked_ = false;  // the MPI thread, in a call that nothing can end
  std::string given_up_;  // why MPI can do nothing more
  std::vector<Started> starters_;
  std::vector<New> new_;
  std::vector<Connection> new_connections_;
  std::vector<const void*> owners_;  // of the channels
  std::vector<int> channels_;        // their communicators
  std::vector<Place> places_;        // of the communicators

  // Of the MPI thread alone.
  std::vector<std::unique_ptr<Communicator>> communicators_;
  std::vector<const Operation*> blocking_;  // splits and closes, in the order of the calls
  std::vector<Connection> connections_;
  Handle coming_{}, coming_request_{};  // the next channel
  bool coming_under_way_ = false;
};

}  // namespace warpdice::mpi
