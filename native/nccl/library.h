#pragma once
// The NCCL library of this machine, opened at run time. No NCCL header was used: its functions are looked up by name,
// and the numbers of its binary interface are here.
#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <string>

#include "math/types.h"

namespace warpdice::nccl {

/// NCCL's handle of a communicator.
using Handle = struct Opaque*;

/// What a communicator begins with: made by one rank, the same on all.
struct UniqueId {
  char bytes[128];
};

/// ncclResult_t. Those that nothing here asks for have no name.
enum class Result : int { success = 0, in_progress = 7 };

/// ncclConfig_t as of NCCL 2.14, which later versions take too.
struct Config {
  size_t size = sizeof(Config);
  unsigned magic = 0xcafebeef, version = 21400;
  int blocking = 0;  // calls return while other ranks are still to come
};

class Library {
 public:
  /// The one that this process uses: the first that it has opened. Throws Error("ERR_NCCL") with the loader's words, or
  /// for a library that lacks a function.
  static std::shared_ptr<const Library> open(const std::string& path);
  /// Throws before open().
  static std::shared_ptr<const Library> opened();

  const std::string& path() const { return path_; }
  /// 22907 for version 2.29.7.
  int version() const { return version_; }

  /// Throws Error("ERR_NCCL").
  UniqueId unique_id() const;

  // The functions return NCCL's results. The calling thread's device must be the communicator's.

  Result init(Handle& made, int ranks, const UniqueId& id, int rank) const;
  /// What became of the calls of a communicator.
  Result state(Handle handle) const;
  Result all_reduce(void* data, size_t count, DType dtype, Handle handle, cudaStream_t stream) const;
  /// Begins the end, of which state() tells; then destroy() frees the communicator.
  Result finalize(Handle handle) const { return finalize_(handle); }
  Result destroy(Handle handle) const { return destroy_(handle); }
  /// Frees the communicator without the other ranks. Its kernels end, with what they have.
  void abort(Handle handle) const { abort_(handle); }

  /// The error of a function, in words. handle: may be null.
  std::string text(const char* function, Result result, Handle handle) const;

 private:
  explicit Library(const std::string& path);

  std::string path_;
  int version_ = 0;
  Result (*get_version_)(int*);
  Result (*get_unique_id_)(UniqueId*);
  Result (*init_)(Handle*, int, UniqueId, int, Config*);
  Result (*state_)(Handle, Result*);
  Result (*all_reduce_)(const void*, void*, size_t, int type, int operation, Handle, cudaStream_t);
  Result (*finalize_)(Handle);
  Result (*destroy_)(Handle);
  Result (*abort_)(Handle);
  const char* (*error_string_)(Result);
  const char* (*last_error_)(Handle);
};

}  // namespace warpdice::nccl
