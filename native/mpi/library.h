#pragma once
// The MPI library of this machine, opened at run time. No MPI header was used: its functions are looked up by name, and
// the handles and constants of its binary interface (ABI) are in library.cc.
#include <cstddef>
#include <memory>
#include <string>

namespace warpdice::mpi {

/// A communicator or a request: a number in MPICH's interface, an address in the others.
union Handle {
  int number;
  void* address;
};

/// The types of elements that cross the network.
enum class Type { float64, float32, int64, byte };
constexpr int kTypes = 4;

struct Version {
  std::string path;     // of the library's file
  std::string library;  // what it says of itself, the first line
  std::string abi;      // "Open MPI", "MPICH" or "standard"
};

/// The functions return MPI's error codes, 0 for success. All but version() must be called on one thread.
class Library {
 public:
  /// Throws Error("ERR_MPI") with the loader's words, or for a library that lacks a function.
  static std::unique_ptr<Library> open(const std::string& path);

  virtual ~Library() = default;
  const Version& version() const { return version_; }

  virtual int init() = 0;
  virtual int finalize() = 0;
  /// Ends all ranks of the job. It does not return where it works.
  virtual void abort(int status) = 0;
  virtual std::string text(int error) = 0;

  virtual Handle world() = 0;
  virtual int rank(Handle comm) = 0;
  virtual int size(Handle comm) = 0;
  /// Its errors are returned instead of ending the process.
  virtual int return_errors(Handle comm) = 0;
  virtual int duplicate(Handle comm, Handle& copy, Handle& request) = 0;
  /// Blocks until all ranks have called it.
  virtual int split(Handle comm, int color, int key, Handle& part) = 0;
  virtual int free(Handle& comm) = 0;

  virtual int all_reduce(void* data, int count, Type type, Handle comm, Handle& request) = 0;
  virtual int broadcast(void* data, int count, Type type, int root, Handle comm, Handle& request) = 0;
  virtual int test(Handle& request, bool& done) = 0;

 protected:
  Version version_;
};

}  // namespace warpdice::mpi
