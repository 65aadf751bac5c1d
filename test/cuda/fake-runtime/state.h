#pragma once
// The state of the fake CUDA runtime, which one lock guards.
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "fake.h"
#include "sharing.h"

struct FakeStream {
  int device = 0;
  /// Each function returns whether it is done. Until then the stream waits.
  std::deque<std::function<bool()>> work;
  bool held = false, destroyed = false;
  int allowed = 0;                 // pieces of work that it does although it is held
  cudaGraph_t captures = nullptr;  // gets what is enqueued

  /// Works until it is empty, held, or waits for another stream. Returns whether it did anything.
  bool work_on();
};

/// Takes memory from the driver when it keeps too little. Gives back what it keeps beyond its threshold when a call
/// waits. Kept memory of any size serves every allocation.
struct FakePool {
  int device = 0;
  size_t used_bytes = 0, kept_bytes = 0;  // kept_bytes includes used_bytes
  size_t threshold_bytes = 0;
};

namespace fake {

struct Allocation {
  size_t size_bytes = 0;
  int device = 0;
  FakePool* pool = nullptr;
  std::shared_ptr<Shared> shared;  // of cudaMalloc: other processes can open it
  SharedName opened_as;            // where another process has made it: its name
  int opened = 0;                  // how often this process has opened it
};

struct Planted {
  cudaError_t status = cudaSuccess;
  int after = 0;  // calls that succeed before
};

struct State {
  std::set<FakeStream*> streams;
  std::map<int, FakeStream*> default_streams;  // of each device
  std::set<FakePool*> pools;
  std::map<char*, Allocation> allocations;
  std::map<char*, size_t> pinned;
  std::map<std::string, int> calls;
  std::map<std::string, Planted> planted;
  std::map<int, size_t> taken_bytes;  // of each device, by pools and by cudaMalloc
  size_t total_bytes = size_t{64} << 20;
  cudaError_t fault = cudaSuccess, device_error = cudaSuccess;
  std::string reason;  // of the fault
  int devices = 2, driver_version = 13000;
  bool pools_supported = true;
};

/// Never destroyed: a driver outlives static destructors.
State& state();

/// The fault that a wrong address is, and why it is one: cudaGetErrorString says it.
cudaError_t wrong_address(const std::string& reason);

/// A call of the API. Holds the lock, counts the call, and knows the error that it must return.
class Call {
  /// What a call does is the driver's: its allocations are not the addon's, and do not fail (allocations.h).
  struct Inside {
    Inside() { calls_inside++; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { calls_inside--; }
  };
  Inside inside_;

 public:
  explicit Call(const char* name);
  /// The planted error or the fault, else `status`. cudaGetLastError returns it too.
  cudaError_t result(cudaError_t status = cudaSuccess) const;
  bool fails() const { return status_ != cudaSuccess; }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  cudaError_t status_;
};

int current_device();

/// The stream of a handle. A null handle is the default stream of the current device.
FakeStream* stream_of(cudaStream_t handle);

/// Runs work until every stream is empty, held, or waits for a held one.
void progress();

/// Runs the work of one stream, and that of others only when it waits for them.
void progress(FakeStream* stream);

/// Pools give back what they keep beyond their threshold, as in every call that waits.
void trim_pools();

/// Whether an address lies in memory of another device than this.
bool is_elsewhere(const void* address, int device);

/// Whether one allocation on a device contains all of it.
bool is_device_memory(const void* data, size_t size_bytes);

}  // namespace fake
