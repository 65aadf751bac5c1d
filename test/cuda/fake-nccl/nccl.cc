// libnccl_fake.so: the part of NCCL that native/nccl uses, on the fake CUDA runtime. Ranks are communicators of one
// process or of several, which meet in shared memory. As in NCCL, an all-reduce is work of its stream that waits for
// the other ranks, and nothing checks that they pass the same length: with another one it waits for ever. As with
// NCCL's communicators that do not block, it is in its stream only when the communicator's state has become success,
// and until then other calls are refused. NCCL's behaviour beyond its documentation is not shown.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "fake.h"
#include "fake_nccl.h"

namespace {

constexpr int kRanks = 8;
constexpr size_t kMaxBytes = size_t{1} << 20;

/// What a rank shows to the others. Numbers only grow, from 0.
struct Place {
  std::atomic<uint64_t> came, gave, took, ended;
  size_t count;
  int type;
  char data[kMaxBytes];
};
struct Meeting {
  Place places[kRanks];
};

/// ncclResult_t
enum Result : int { success = 0, cuda = 1, argument = 4, in_progress = 7 };

/// How often a call that was begun is looked at in vain.
constexpr int kLooks = 2;

std::mutex mutex;
std::string log_text;
std::map<std::string, int> planted;
fake_nccl::Enqueue enqueue_on;

void log(const std::string& line) {
  std::lock_guard<std::mutex> lock(mutex);
  log_text += line + "\n";
}

/// The planted result of a function, once; else success.
int planted_for(const char* function) {
  std::lock_guard<std::mutex> lock(mutex);
  const auto it = planted.find(function);
  if (it == planted.end()) return success;
  const int result = it->second;
  planted.erase(it);
  return result;
}

template <class T>
void add(char* to, const char* from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    T a, b;
    std::memcpy(&a, to + i * sizeof(T), sizeof a);
    std::memcpy(&b, from + i * sizeof(T), sizeof b);
    a = static_cast<T>(a + b);
    std::memcpy(to + i * sizeof(T), &a, sizeof a);
  }
}

/// bfloat16, cut off instead of rounded: enough for small integers.
void add_bfloat16(char* to, const char* from, size_t count) {
  for (size_t i = 0; i < 2 * count; i += 2) {
    uint32_t a = 0, b = 0;
    std::memcpy(reinterpret_cast<char*>(&a) + 2, to + i, 2);
    std::memcpy(reinterpret_cast<char*>(&b) + 2, from + i, 2);
    float x, y;
    std::memcpy(&x, &a, 4);
    std::memcpy(&y, &b, 4);
    x += y;
    std::memcpy(to + i, reinterpret_cast<char*>(&x) + 2, 2);
  }
}

size_t bytes_of(int type) { return type == 8 ? 8 : type == 7 ? 4 : 2; }

void add_as(int type, char* to, const char* from, size_t count) {
  if (type == 8) add<double>(to, from, count);
  else if (type == 7) add<float>(to, from, count);
  else if (type == 9) add_bfloat16(to, from, count);
  else add<_Float16>(to, from, count);
}

}  // namespace

struct Communicator {
  std::shared_ptr<Meeting> meeting;
  int ranks = 0, rank = 0;
  std::atomic<bool> aborted{false}, finalizing{false};
  std::function<cudaError_t()> begun;  // puts the all-reduce that was begun last into its stream
  int looks = 0;                       // at it
  uint64_t next = 0;                   // of all-reduces that its stream has begun

  Place& own() const { return meeting->places[rank]; }
  bool all(std::atomic<uint64_t> Place::*number, uint64_t value) const {
    for (int i = 0; i < ranks; i++) {
      if (meeting->places[i].*number < value) return false;
    }
    return true;
  }
  bool usable() const { return all(&Place::came, 1) && !begun && !finalizing; }
};

namespace {

/// One all-reduce, as work of a stream: a copy of it for each launch of a graph.
struct AllReduce {
  std::shared_ptr<Communicator> comm;
  const char* from;
  char* to;
  size_t count;
  int type;
  uint64_t number = 0;  // 0: not begun

  cudaError_t operator()() {
    if (comm->aborted) return cudaSuccess;
    Place& own = comm->own();
    if (number == 0) {
      if (!comm->all(&Place::took, comm->next)) return cudaErrorNotReady;  // of the one before
      number = ++comm->next;
      own.count = count;
      own.type = type;
      std::memcpy(own.data, from, count * bytes_of(type));
      own.gave = number;
    }
    if (!comm->all(&Place::gave, number)) return cudaErrorNotReady;
    for (int i = 0; i < comm->ranks; i++) {
      const Place& other = comm->meeting->places[i];
      if (other.count != count || other.type != type) return cudaErrorNotReady;
    }
    std::memcpy(to, comm->meeting->places[0].data, count * bytes_of(type));
    for (int i = 1; i < comm->ranks; i++) add_as(type, to, comm->meeting->places[i].data, count);
    own.took = number;
    return cudaSuccess;
  }
};

std::shared_ptr<Meeting> meet(const char* name) {
  const int file = shm_open(name, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(Meeting)) != 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(Meeting), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) return nullptr;
  return {static_cast<Meeting*>(memory), [name = std::string(name)](Meeting* it) {
            munmap(it, sizeof(Meeting));
            shm_unlink(name.c_str());
          }};
}

/// The handles are the addresses of these.
using Handle = std::shared_ptr<Communicator>*;

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int ncclGetVersion(int* version) {
  *version = 22907;
  return success;
}

struct Id {
  char bytes[128];
};

int ncclGetUniqueId(Id* id) {
  static std::atomic<int> made{0};
  if (const int failed = planted_for("ncclGetUniqueId")) return failed;
  const std::string name = "/warpdice-fake-nccl-" + std::to_string(getpid()) + "-" + std::to_string(made++);
  *id = {};
  std::memcpy(id->bytes, name.c_str(), name.size());
  return success;
}

struct Config {
  size_t size;
  unsigned magic, version;
  int blocking;
};

int ncclCommInitRankConfig(Handle* made, int ranks, Id id, int rank, const Config* config) {
  if (const int failed = planted_for("ncclCommInitRankConfig")) return failed;
  if (config->magic != 0xcafebeef || config->blocking != 0 || config->size != sizeof(Config)) return argument;
  const auto comm = std::make_shared<Communicator>();
  comm->meeting = meet(id.bytes);
  if (!comm->meeting || ranks > kRanks) return argument;
  comm->ranks = ranks;
  comm->rank = rank;
  comm->own().came = 1;
  *made = new std::shared_ptr<Communicator>(comm);
  log("init " + std::to_string(rank) + " of " + std::to_string(ranks));
  return in_progress;
}

int ncclCommGetAsyncError(Handle handle, int* state) {
  Communicator& comm = **handle;
  if (const int failed = planted_for("ncclCommGetAsyncError")) return failed;
  *state = planted_for("asynchronous");
  if (*state != success) return success;
  if (comm.begun) {
    *state = in_progress;
    if (comm.looks++ < kLooks) return success;
    const auto enqueue = std::exchange(comm.begun, nullptr);
    *state = enqueue() == cudaSuccess ? success : cuda;
  } else if (!comm.all(&Place::came, 1) || (comm.finalizing && !comm.all(&Place::ended, 1))) {
    *state = in_progress;
  }
  return success;
}

int ncclAllReduce(const void* from, void* to, size_t count, int type, int operation, Handle handle,
                  cudaStream_t stream) {
  if (const int failed = planted_for("ncclAllReduce")) return failed;
  Communicator& comm = **handle;
  if (operation != 0 || from != to || type < 6 || type > 9 || count * bytes_of(type) > kMaxBytes) return argument;
  if (!comm.usable()) return argument;
  const AllReduce work{*handle, static_cast<const char*>(from), static_cast<char*>(to), count, type};
  comm.begun = [work, stream] {
    log("all-reduce of " + std::to_string(work.count) + " of type " + std::to_string(work.type) + " by " +
        std::to_string(work.comm->rank) + " on " + std::to_string(reinterpret_cast<uintptr_t>(stream)));
    return enqueue_on(stream, work);
  };
  comm.looks = 0;
  return in_progress;
}

int ncclCommFinalize(Handle handle) {
  if (const int failed = planted_for("ncclCommFinalize")) return failed;
  if (!(*handle)->usable()) return argument;
  log("finalize " + std::to_string((*handle)->rank));
  (*handle)->finalizing = true;
  (*handle)->own().ended = 1;
  return in_progress;
}

int ncclCommDestroy(Handle handle) {
  log("destroy " + std::to_string((*handle)->rank));
  delete handle;
  return planted_for("ncclCommDestroy");
}

int ncclCommAbort(Handle handle) {
  log("abort " + std::to_string((*handle)->rank));
  (*handle)->aborted = true;
  (*handle)->begun = nullptr;
  delete handle;
  return success;
}

const char* ncclGetErrorString(int result) { return result == 6 ? "remote process exited" : "a planted error"; }
const char* ncclGetLastError(Handle) { return "said by the fake"; }

// --- for tests -------------------------------------------------------------------------------------------

void fake_nccl_use(fake_nccl::Enqueue enqueue) { enqueue_on = enqueue; }

void fake_nccl_fail(const char* function, int result) {
  std::lock_guard<std::mutex> lock(mutex);
  planted[function] = result;
}

void fake_nccl_log(std::string* text) {
  std::lock_guard<std::mutex> lock(mutex);
  *text = std::move(log_text);
  log_text.clear();
}
}
#pragma GCC visibility pop
