#include "mpi/communicator.h"

#include <algorithm>
#include <cstring>

namespace warpdice::mpi {
namespace {

constexpr size_t kPiece = size_t{1} << 24;  // elements: MPI counts in int

/// Whether the sums of a call travel in its frame.
bool fits_in_frame(const Operation& call) {
  return call.kind == Kind::sum && call.type == Type::float64 && call.count > 0 && call.count <= Frame::kRoom;
}

size_t bytes_of(Type type) { return type == Type::byte ? 1 : type == Type::float32 ? 4 : 8; }

}  // namespace

Communicator::Communicator(Library& library, Handle handle)
    : library_(library), handle_(handle), rank_(library.rank(handle)), size_(library.size(handle)) {
  library.return_errors(handle);
}

OperationPointer Communicator::begin() {
  if (current_ || queue_.empty()) return nullptr;
  current_ = std::move(queue_.front());
  queue_.pop_front();
  if (lost_.empty()) return start_frame();
  current_->fail("ERR_MPI", "Expected a communicator in order for " + current_->name +
                                " but an earlier call has closed it: " + lost_);
  return end();
}

OperationPointer Communicator::start_frame() {
  in_frame_ = true;
  if (fits_in_frame(*current_)) {
    std::memcpy(current_->frame.room(), current_->data.data(), current_->count * sizeof(double));
  }
  const int error = library_.all_reduce(current_->frame.numbers(), Frame::kSize, Type::float64, handle_, request_);
  return started(error, "MPI_Iallreduce");
}

OperationPointer Communicator::started(int error, const char* function) {
  deadline_ = Clock::now() + current_->timeout;
  if (!error) return nullptr;
  return lose("ERR_MPI", std::string(function) + " failed in " + current_->name + ": " + library_.text(error));
}

OperationPointer Communicator::poll() {
  if (!current_ || wants_block_) return nullptr;
  bool done = false;
  if (const int error = library_.test(request_, done)) {
    return lose("ERR_MPI", "MPI failed in " + current_->name + ": " + library_.text(error));
  }
  if (done) return in_frame_ ? after_frame() : next_piece();
  if (Clock::now() < deadline_) return nullptr;
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(current_->timeout).count();
  return lose("ERR_MPI_TIMEOUT", "Expected all " + std::to_string(size_) + " ranks in " + current_->name + " within " +
                                     std::to_string(limit) +
                                     " ms but some have not come: they have ended, are late, or wait in another call");
}

OperationPointer Communicator::after_frame() {
  in_frame_ = false;
  at_ = 0;
  Operation& call = *current_;
  if (!call.frame.agrees(size_)) {
    call.fail("ERR_MPI_MISMATCH", "Expected the same call on all " + std::to_string(size_) +
                                      " ranks but this one makes " + call.name + " and another one makes another call");
    return end();
  }
  switch (call.kind) {
    case Kind::barrier:
      return end();
    case Kind::split:
    case Kind::close:
      wants_block_ = true;
      return nullptr;
    case Kind::sum:
      if (!fits_in_frame(call)) return next_piece();
      std::memcpy(call.data.data(), call.frame.room(), call.count * sizeof(double));
      return end();
    default:
      return next_piece();
  }
}

OperationPointer Communicator::next_piece() {
  Operation& call = *current_;
  if (at_ == call.count) return end();
  const size_t count = std::min(kPiece, call.count - at_);
  char* data = call.data.data() + at_ * bytes_of(call.type);
  at_ += count;
  const int n = static_cast<int>(count);
  if (call.kind == Kind::sum) {
    return started(library_.all_reduce(data, n, call.type, handle_, request_), "MPI_Iallreduce");
  }
  return started(library_.broadcast(data, n, call.type, call.root, handle_, request_), "MPI_Ibcast");
}

int Communicator::block(Handle& part) {
  if (current_->kind == Kind::split) return library_.split(handle_, current_->color, current_->key, part);
  library_.free(handle_);
  return 0;
}

OperationPointer Communicator::end_block(int error) {
  wants_block_ = false;
  if (current_->kind == Kind::close) lost_ = "it was closed";
  if (error) return lose("ERR_MPI", "MPI_Comm_split failed in " + current_->name + ": " + library_.text(error));
  return end();
}

void Communicator::append_waiting(std::vector<OperationPointer>& all) const {
  if (current_) all.push_back(current_);
  all.insert(all.end(), queue_.begin(), queue_.end());
}

OperationPointer Communicator::end() { return std::move(current_); }

OperationPointer Communicator::lose(const char* code, const std::string& message) {
  lost_ = message;
  waits_ = true;
  new OperationPointer(current_);  // MPI may write to its memory for ever: never freed
  current_->fail(code, message + ". This communicator is closed for good");
  return end();
}

}  // namespace warpdice::mpi
