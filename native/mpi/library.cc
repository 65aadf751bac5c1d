#include "mpi/library.h"

#include <dlfcn.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <type_traits>
#include <vector>

#include "math/error.h"

namespace warpdice::mpi {
namespace {

void* symbol(void* file, const char* name) {
  void* found = dlsym(file, name);
  if (!found) throw Error("ERR_MPI", std::string("Expected an MPI library but it has no ") + name);
  return found;
}

/// A launcher that is told to end the job drops what it has not read: the error that this process has printed, for one.
/// Half a second is enough for one that still reads.
void wait_until_output_is_read() {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  for (const int pipe : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat about;
    if (fstat(pipe, &about) != 0 || !S_ISFIFO(about.st_mode)) continue;
    int unread = 0;
    while (ioctl(pipe, FIONREAD, &unread) == 0 && unread > 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

/// One ABI. H is what a handle is: int in MPICH's, an address in the others.
template <class H>
struct Abi {
  const char* name;
  H world, sum, errors_return;
  H types[kTypes];  // in the order of Type
  void* in_place;
  void* status_ignore;
  int funneled;  // MPI_THREAD_FUNNELED: one thread makes all calls
};

template <class H>
class Opened final : public Library {
 public:
  Opened(void* file, const Abi<H>& abi) : abi_(abi) {
    version_.abi = abi.name;
    const auto load = [file](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(symbol(file, name));
    };
    load(init_thread_, "MPI_Init_thread");
    load(initialized_, "MPI_Initialized");
    load(finalize_, "MPI_Finalize");
    load(abort_, "MPI_Abort");
    load(error_string_, "MPI_Error_string");
    load(comm_rank_, "MPI_Comm_rank");
    load(comm_size_, "MPI_Comm_size");
    load(comm_set_errhandler_, "MPI_Comm_set_errhandler");
    load(comm_idup_, "MPI_Comm_idup");
    load(comm_split_, "MPI_Comm_split");
    load(comm_free_, "MPI_Comm_free");
    load(iallreduce_, "MPI_Iallreduce");
    load(ibcast_, "MPI_Ibcast");
    load(test_, "MPI_Test");
  }

  void set_version(const std::string& path, const std::string& text) {
    version_.path = path;
    version_.library = text.substr(0, text.find('\n'));
  }

  int init() override {
    int already = 0, provided = 0;
    if (const int error = initialized_(&already)) return error;
    // Another addon may have initialized it on another thread, which forbids calls on this one.
    if (already) throw Error("ERR_MPI", "Expected an MPI that nobody has initialized but this process already has");
    if (const int error = init_thread_(nullptr, nullptr, abi_.funneled, &provided)) return error;
    return comm_set_errhandler_(abi_.world, abi_.errors_return);
  }
  int finalize() override { return finalize_(); }
  void abort(int status) override {
    wait_until_output_is_read();
    abort_(abi_.world, status);
  }
  std::string text(int error) override {
    std::vector<char> letters(8192);  // MPICH's longest
    int length = 0;
    if (error_string_(error, letters.data(), &length)) return "error " + std::to_string(error);
    return std::string(letters.data(), static_cast<size_t>(length));
  }

  Handle world() override { return from(abi_.world); }
  int rank(Handle comm) override {
    int rank = -1;
    comm_rank_(to(comm), &rank);
    return rank;
  }
  int size(Handle comm) override {
    int size = -1;
    comm_size_(to(comm), &size);
    return size;
  }
  int return_errors(Handle comm) override { return comm_set_errhandler_(to(comm), abi_.errors_return); }
  int duplicate(Handle comm, Handle& copy, Handle& request) override {
    return comm_idup_(to(comm), &to(copy), &to(request));
  }
  int split(Handle comm, int color, int key, Handle& part) override {
    return comm_split_(to(comm), color, key, &to(part));
  }
  int free(Handle& comm) override { return comm_free_(&to(comm)); }

  int all_reduce(void* data, int count, Type type, Handle comm, Handle& request) override {
    return iallreduce_(abi_.in_place, data, count, of(type), abi_.sum, to(comm), &to(request));
  }
  int broadcast(void* data, int count, Type type, int root, Handle comm, Handle& request) override {
    return ibcast_(data, count, of(type), root, to(comm), &to(request));
  }
  int test(Handle& request, bool& done) override {
    int flag = 0;
    const int error = test_(&to(request), &flag, abi_.status_ignore);
    done = flag != 0;
    return error;
  }

 private:
  static H& to(Handle& handle) {
    if constexpr (std::is_same_v<H, int>) return handle.number;
    else return handle.address;
  }
  static Handle from(H value) {
    Handle handle{};
    to(handle) = value;
    return handle;
  }
  H of(Type type) const { return abi_.types[static_cast<int>(type)]; }

  const Abi<H> abi_;
  int (*init_thread_)(int*, char***, int, int*);
  int (*initialized_)(int*);
  int (*finalize_)();
  int (*abort_)(H, int);
  int (*error_string_)(int, char*, int*);
  int (*comm_rank_)(H, int*);
  int (*comm_size_)(H, int*);
  int (*comm_set_errhandler_)(H, H);
  int (*comm_idup_)(H, H*, H*);
  int (*comm_split_)(H, int, int, H*);
  int (*comm_free_)(H*);
  int (*iallreduce_)(const void*, void*, int, H, H, H, H*);
  int (*ibcast_)(void*, int, H, int, H, H*);
  int (*test_)(H*, int*, void*);
};

void* constant(uintptr_t value) { return reinterpret_cast<void*>(value); }

/// Open MPI's handles are the addresses of variables.
Abi<void*> open_mpi(void* file) {
  const auto of = [file](const char* name) { return symbol(file, name); };
  return {"Open MPI",
          of("ompi_mpi_comm_world"),
          of("ompi_mpi_op_sum"),
          of("ompi_mpi_errors_return"),
          {of("ompi_mpi_double"), of("ompi_mpi_float"), of("ompi_mpi_int64_t"), of("ompi_mpi_byte")},
          constant(1),
          nullptr,
          1};
}

/// MPICH's numbers, which Intel MPI and others of its family share: https://www.mpich.org/abi
constexpr Abi<int> mpich(void* in_place, void* status_ignore) {
  return {"MPICH",  0x44000000,    0x58000003, 0x54000001, {0x4c00080b, 0x4c00040a, 0x4c00083a, 0x4c00010d},
          in_place, status_ignore, 1};
}

/// The standard ABI of MPI 5.0 (its appendix A): small numbers in the place of addresses.
Abi<void*> standard() {
  return {"standard",
          constant(0x101),
          constant(0x21),
          constant(0x143),
          {constant(0x214), constant(0x210), constant(0x258), constant(0x247)},
          constant(1),
          nullptr,
          1024};
}

template <class H>
std::unique_ptr<Library> opened(void* file, const Abi<H>& abi, const std::string& path, const std::string& text) {
  auto library = std::make_unique<Opened<H>>(file, abi);
  library->set_version(path, text);
  return library;
}

}  // namespace

std::unique_ptr<Library> Library::open(const std::string& path) {
  // UCX, which most of them use, watches memory that is unmapped. To try that out it moves the end of the heap forth
  // and back, and takes away what another thread has allocated there meanwhile: V8 then crashes. UCX watches to keep
  // the registration of memory that is used again and again, which ours is not. It reads this when it is loaded.
  setenv("UCX_MEM_EVENTS", "no", 0);
  // Never closed again: a library that has started threads cannot be unloaded.
  void* file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!file) throw Error("ERR_MPI", dlerror());
  const auto library_version = reinterpret_cast<int (*)(char*, int*)>(symbol(file, "MPI_Get_library_version"));
  std::vector<char> text(16384);  // twice MPICH's longest
  int length = 0;
  library_version(text.data(), &length);
  Dl_info where{};
  dladdr(reinterpret_cast<void*>(library_version), &where);
  const std::string found = where.dli_fname ? where.dli_fname : path;

  if (dlsym(file, "ompi_mpi_comm_world")) return opened(file, open_mpi(file), found, text.data());
  // MPICH 5 and Intel MPI have this function in their library of MPICH's ABI too, where it answers -1.
  int major = -1, minor = -1;
  if (void* abi_version = dlsym(file, "MPI_Abi_get_version")) {
    reinterpret_cast<int (*)(int*, int*)>(abi_version)(&major, &minor);
  }
  if (major > 0) return opened(file, standard(), found, text.data());
  return opened(file, mpich(constant(UINTPTR_MAX), constant(1)), found, text.data());
}

}  // namespace warpdice::mpi
