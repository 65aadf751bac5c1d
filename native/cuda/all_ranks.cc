#include "cuda/all_ranks.h"

#include "cuda/runtime/recorder.h"

namespace warpdice::cuda {
namespace {

/// Enqueues or records what NCCL does. NCCL can only be captured, since it chooses its kernels itself.
template <class Work>
cudaError_t enqueue_foreign(const Work& work, cudaStream_t stream) {
  if (recorder) return recorder->capture(work);
  work(stream);
  return cudaSuccess;
}

}  // namespace

AllRanks::AllRanks(std::shared_ptr<nccl::Communicator> communicator, std::string name, int64_t sums,
                   const std::shared_ptr<Stream>& stream)
    : communicator_(std::move(communicator)),
      name_(std::move(name)),
      frame_(name_, 0),
      memory_(DeviceMemory::allocate(stream, Message::size_bytes(sums))),
      message_{static_cast<double*>(memory_->data()), sums} {}

cudaError_t AllRanks::enqueue(LabelFault* faults, cudaStream_t stream) const {
  if (const cudaError_t failed = enqueue_header(message_, frame_, stream)) return failed;
  const auto add = [this](cudaStream_t to) {
    communicator_->all_reduce(message_.numbers, Frame::kSize, DType::float64, to, name_);
    constexpr auto kRoom = static_cast<int64_t>(Frame::kRoom);
    if (message_.sums <= kRoom) return;
    communicator_->all_reduce(message_.first_sum() + kRoom, static_cast<size_t>(message_.sums - kRoom), DType::float64,
                              to, name_);
  };
  if (const cudaError_t failed = enqueue_foreign(add, stream)) return failed;
  return enqueue_agree(message_, communicator_->ranks(), faults, stream);
}

cudaError_t AllRanks::enqueue_array(void* data, size_t count, DType dtype, LabelFault* faults,
                                    cudaStream_t stream) const {
  if (const cudaError_t failed = enqueue(faults, stream)) return failed;
  communicator_->all_reduce(data, count, dtype, stream, name_);
  return cudaSuccess;
}

void AllRanks::expect_usable(const Stream& stream) const {
  communicator_->expect_usable(name_);
  if (communicator_->device() == stream.device()) return;
  throw Error("ERR_NCCL", "Expected a stream of the communicator's GPU, cuda:" +
                              std::to_string(communicator_->device()) + ", for " + name_);
}

void AllRanks::check(const LabelFault& fault) const {
  communicator_->expect_whole();
  if (fault.kind != FaultKind::ranks) return;
  throw Error("ERR_NCCL_MISMATCH", "Expected the same call on all " + std::to_string(communicator_->ranks()) +
                                       " ranks but this one makes " + name_ + " and another one makes another call");
}

}  // namespace warpdice::cuda
