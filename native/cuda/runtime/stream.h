#pragma once
// Streams and events, each with one owner.
#include <memory>

#include "cuda/runtime/status.h"

namespace warpdice::cuda {

/// A queue of work on one device. It is our own or somebody else's. The object tells streams apart: two devices have
/// default streams of the same handle, and a handle whose stream was destroyed comes again.
class Stream {
 public:
  static std::shared_ptr<Stream> create(int device) {
    use_device(device);
    cudaStream_t handle = nullptr;
    // Non-blocking: it does not wait for the legacy default stream.
    check(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return std::shared_ptr<Stream>(new Stream(device, handle, true));
  }

  /// A stream of the caller, who keeps it alive for as long as memory that was used on it.
  static std::shared_ptr<Stream> wrap(int device, cudaStream_t handle) {
    return std::shared_ptr<Stream>(new Stream(device, handle, false));
  }

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    if (!owned_) return;
    const DeviceScope scope(device_);
    cudaStreamDestroy(handle_);  // CUDA finishes queued work first
  }

  int device() const { return device_; }
  cudaStream_t handle() const { return handle_; }

  /// Blocks until all queued work is done.
  void synchronize() const {
    use_device(device_);
    check(cudaStreamSynchronize(handle_), "cudaStreamSynchronize");
  }

 private:
  Stream(int device, cudaStream_t handle, bool owned) : device_(device), handle_(handle), owned_(owned) {}
  const int device_;
  const cudaStream_t handle_;
  const bool owned_;
};

/// A point in a stream's work. An event that was never recorded counts as reached.
class Event {
 public:
  /// interprocess: whether another process can open it.
  explicit Event(int device, bool interprocess = false) : device_(device) {
    use_device(device);
    const unsigned flags = cudaEventDisableTiming | (interprocess ? cudaEventInterprocess : 0);
    check(cudaEventCreateWithFlags(&handle_, flags), "cudaEventCreateWithFlags");
  }

  /// Opens an event of another process.
  Event(int device, const cudaIpcEventHandle_t& handle) : device_(device) {
    use_device(device);
    check(cudaIpcOpenEventHandle(&handle_, handle), "cudaIpcOpenEventHandle");
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() {
    const DeviceScope scope(device_);
    cudaEventDestroy(handle_);
  }

  void record(const Stream& stream) {
    use_device(device_);
    check(cudaEventRecord(handle_, stream.handle()), "cudaEventRecord");
  }

  /// Later work of `stream` starts when the event has been reached.
  void make_wait(const Stream& stream) const {
    use_device(stream.device());
    check(cudaStreamWaitEvent(stream.handle(), handle_, 0), "cudaStreamWaitEvent");
  }

  /// Blocks until the event has been reached.
  void synchronize() const {
    use_device(device_);
    check(cudaEventSynchronize(handle_), "cudaEventSynchronize");
  }

  /// A handle for another process. Throws unless the event is interprocess.
  cudaIpcEventHandle_t ipc_handle() const {
    use_device(device_);
    cudaIpcEventHandle_t handle{};
    check(cudaIpcGetEventHandle(&handle, handle_), "cudaIpcGetEventHandle");
    return handle;
  }

  int device() const { return device_; }

  /// cudaSuccess, cudaErrorNotReady, or the error that ended the work. Never blocks.
  cudaError_t query() const {
    const cudaError_t status = cudaSetDevice(device_);
    return status == cudaSuccess ? cudaEventQuery(handle_) : status;
  }

 private:
  const int device_;
  cudaEvent_t handle_ = nullptr;
};

}  // namespace warpdice::cuda
