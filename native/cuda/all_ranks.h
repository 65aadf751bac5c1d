#pragma once
// Sums over the GPUs of all ranks, in the stream. Every sum begins with a frame of fixed size that finds ranks that do
// something else, so its result says whether it can be trusted, without a visit to the host.
#include <memory>
#include <string>

#include "cuda/kernels/agree.h"
#include "cuda/runtime/memory.h"
#include "nccl/communicator.h"

namespace warpdice::cuda {

/// A call of all ranks: what it is, and the message that they add up.
class AllRanks {
 public:
  /// name: with all that must be the same on every rank. sums: float64 numbers of the message.
  AllRanks(std::shared_ptr<nccl::Communicator> communicator, std::string name, int64_t sums,
           const std::shared_ptr<Stream>& stream);

  nccl::Communicator& communicator() const { return *communicator_; }
  const std::string& name() const { return name_; }
  const std::shared_ptr<DeviceMemory>& memory() const { return memory_; }
  /// Where the sums of this rank are before enqueue(), and those of all after it.
  double* sums() const { return message_.first_sum(); }

  /// Enqueues, or records, their sum. It writes `faults`, which has those of the call so far.
  cudaError_t enqueue(LabelFault* faults, cudaStream_t stream) const;

  /// Enqueues the sum of arrays of any size, in place, with this message as its frame.
  cudaError_t enqueue_array(void* data, size_t count, DType dtype, LabelFault* faults, cudaStream_t stream) const;

  /// Throws when the communicator is lost or closed, or is for another device.
  void expect_usable(const Stream& stream) const;

  /// Throws what `fault`, and the communicator, say of a result that was read.
  void check(const LabelFault& fault) const;

 private:
  const std::shared_ptr<nccl::Communicator> communicator_;
  const std::string name_;
  const Frame frame_;
  const std::shared_ptr<DeviceMemory> memory_;
  const Message message_;
};

}  // namespace warpdice::cuda
