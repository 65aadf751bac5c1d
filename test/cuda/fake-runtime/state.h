#pragma once
// What the files of the fake CUDA runtime share: its state, behind one lock.
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "fake.h"
#include "sharing.h"

struct FakeStream {
  int device = 0;
  /// Each says whether it is done; until then the stream waits.
  std::deque<std::function<bool()>> work;
  bool held = false, destroyed = false;
};

/// Takes memory from the driver when what it keeps is too little, and gives back what is beyond its threshold when
/// somebody waits. Any of it serves any size.
struct FakePool {
  int device = 0;
  size_t used_bytes = 0, kept_bytes = 0;  // kept: used ones included
  size_t threshold_bytes = 0;
};

namespace fake {

struct Allocation {
  size_t size_bytes = 0;
  int device = 0;
  FakePool* pool = nullptr;
  std::shared_ptr<Shared> shared;  // of cudaMalloc: other processes can open it
  SharedName opened_as;            // the exporter's name for it, where another process has made it
  int opened = 0;                  // so often by this process
};

struct Planted {
  cudaError_t status = cudaSuccess;
  int after = 0;  // so many calls that do not fail
};

struct State {
  std::set<FakeStream*> streams;
  std::set<FakePool*> pools;
  std::map<char*, Allocation> allocations;
  std::map<char*, size_t> pinned;
  std::map<std::string, int> calls;
  std::map<std::string, Planted> planted;
  std::map<int, size_t> taken_bytes;  // of each device, by pools and by cudaMalloc
  size_t total_bytes = size_t{64} << 20;
  cudaError_t fault = cudaSuccess, device_error = cudaSuccess;
  int devices = 2, driver_version = 13000;
  bool pools_supported = true;
};

/// Never destroyed, as a driver that outlives static destructors.
State& state();

/// A call of the API: holds the lock, counts it, and knows the error that it has to return.
class Call {
 public:
  explicit Call(const char* name);
  /// The planted error or the fault; else `status`. Kept for cudaGetLastError.
  cudaError_t result(cudaError_t status = cudaSuccess) const;
  bool fails() const { return status_ != cudaSuccess; }

 private:
  std::lock_guard<std::recursive_mutex> lock_;
  cudaError_t status_;
};

int current_device();

/// Runs all that can run: until every stream is empty, held, or waits for a held one.
void progress();

/// As every call that waits: pools keep no more than they may.
void trim_pools();

/// Whether all of it lies in one allocation on a device.
bool is_device_memory(const void* data, size_t size_bytes);

}  // namespace fake
