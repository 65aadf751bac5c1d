// libmpi_fake.so: the part of MPI that native/mpi uses, with MPICH's binary interface. It is a job of three ranks whose
// other two do what this one does, so that native/mpi runs where no launcher can start it: under ThreadSanitizer. It
// ends the process when it is called on a second thread. What an MPI does beyond that is not shown; test/mpi runs on
// real ones.
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>

namespace {

constexpr int kRanks = 3;
/// How often a request is looked at in vain.
constexpr int kLooks = 3;
constexpr int kDouble = 0x4c00080b, kFloat = 0x4c00040a, kInt64 = 0x4c00083a;

struct Request {
  int looks = 0;
  bool ends = true;
  void* sums = nullptr;  // of an all-reduce: where they go when it ends
  int count = 0, type = 0;
  bool others_differ = false;
};

// Of the MPI thread alone.
std::map<int, Request> requests;
int last_request = 0, last_communicator = 0;
std::thread::id caller;

std::atomic<int> planted{0};
std::atomic<bool> finalized{false};

void expect_thread(const char* function) {
  if (caller == std::thread::id()) caller = std::this_thread::get_id();
  if (caller == std::this_thread::get_id()) return;
  std::fprintf(stderr, "%s: on another thread than MPI_Init_thread\n", function);
  std::_Exit(99);
}

template <class T>
void multiply(void* data, int count) {
  for (int i = 0; i < count; i++) static_cast<T*>(data)[i] *= kRanks;
}

void end(const Request& request) {
  if (!request.sums) return;
  if (request.type == kDouble) multiply<double>(request.sums, request.count);
  if (request.type == kFloat) multiply<float>(request.sums, request.count);
  if (request.type == kInt64) multiply<long long>(request.sums, request.count);
  // As if another rank's hash were larger by one.
  if (request.others_differ) static_cast<double*>(request.sums)[1] += 1;
}

int begin(const Request& request, int* made) {
  requests[*made = ++last_request] = request;
  return 0;
}

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

int MPI_Get_library_version(char* text, int* length) {
  std::strcpy(text, "A fake MPI\n");
  *length = 11;
  return 0;
}
int MPI_Initialized(int* flag) {
  *flag = 0;
  return 0;
}
int MPI_Init_thread(int*, char***, int, int* provided) {
  expect_thread("MPI_Init_thread");
  *provided = 1;
  return 0;
}
int MPI_Finalize() {
  expect_thread("MPI_Finalize");
  finalized = true;
  return 0;
}
int MPI_Abort(int, int status) {
  int unread = 0;
  const bool read = ioctl(STDOUT_FILENO, FIONREAD, &unread) != 0 || unread == 0;
  std::_Exit(read ? status : 9);
}
int MPI_Error_string(int error, char* text, int* length) {
  *length = std::sprintf(text, "a planted error, %d", error);
  return 0;
}
int MPI_Comm_rank(int, int* rank) {
  *rank = 1;
  return 0;
}
int MPI_Comm_size(int, int* size) {
  *size = kRanks;
  return 0;
}
int MPI_Comm_set_errhandler(int, int) { return 0; }
int MPI_Comm_idup(int, int* copy, int* request) {
  expect_thread("MPI_Comm_idup");
  *copy = ++last_communicator;
  return begin({}, request);
}
int MPI_Comm_split(int, int, int, int* part) {
  expect_thread("MPI_Comm_split");
  if (planted.exchange(0) == 4) std::this_thread::sleep_for(std::chrono::milliseconds(600));
  *part = ++last_communicator;
  return 0;
}
int MPI_Comm_free(int*) {
  expect_thread("MPI_Comm_free");
  return 0;
}
int MPI_Iallreduce(const void*, void* data, int count, int type, int, int, int* request) {
  expect_thread("MPI_Iallreduce");
  int plant = planted;
  if (plant != 4) plant = planted.exchange(0);
  if (plant == 3) return 7;
  Request made;
  made.sums = data;
  made.count = count;
  made.type = type;
  made.ends = plant != 1;
  made.others_differ = plant == 2;
  return begin(made, request);
}
int MPI_Ibcast(void*, int, int, int, int, int* request) {
  expect_thread("MPI_Ibcast");
  return begin({}, request);
}
int MPI_Test(int* request, int* flag, void*) {
  expect_thread("MPI_Test");
  Request& one = requests.at(*request);
  *flag = one.ends && one.looks++ == kLooks;
  if (!*flag) return 0;
  end(one);
  requests.erase(*request);
  return 0;
}

/// What the next all-reduce does: 1 never ends, 2 meets ranks at another call, 3 fails. 4: the next split is slow.
void fake_mpi_plant(int what) { planted = what; }
bool fake_mpi_finalized() { return finalized; }
}
#pragma GCC visibility pop
