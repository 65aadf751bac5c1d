#include "nccl/library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <type_traits>

#include "math/error.h"

namespace warpdice::nccl {
namespace {

std::mutex mutex;
std::shared_ptr<const Library>& only() {
  static auto* library = new std::shared_ptr<const Library>;  // never destroyed: threads of NCCL outlive destructors
  return *library;
}

/// ncclDataType_t.
int type_of(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return 6;
    case DType::float32:
      return 7;
    case DType::float64:
      return 8;
    case DType::bfloat16:
      return 9;
    default:
      throw Error("ERR_NCCL", "Expected floats");
  }
}

constexpr int kSum = 0;  // ncclSum

}  // namespace

std::shared_ptr<const Library> Library::open(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex);
  if (!only()) only().reset(new Library(path));
  return only();
}

std::shared_ptr<const Library> Library::opened() {
  std::lock_guard<std::mutex> lock(mutex);
  if (!only()) throw Error("ERR_NCCL", "Expected a library that was opened");
  return only();
}

Library::Library(const std::string& path) : path_(path) {
  // In a graph NCCL would open the buffers of a rank to the others, for nothing where they are as small as these, and
  // ranks that pass other lengths could then write foreign memory.
  setenv("NCCL_GRAPH_REGISTER", "0", 0);
  // Never closed again: a library that has started threads cannot be unloaded.
  void* file = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!file) throw Error("ERR_NCCL", dlerror());
  const auto load = [file](auto& function, const char* name) {
    void* found = dlsym(file, name);
    if (!found) throw Error("ERR_NCCL", std::string("Expected NCCL 2.14 or newer but the library has no ") + name);
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(found);
  };
  load(get_version_, "ncclGetVersion");
  load(get_unique_id_, "ncclGetUniqueId");
  load(init_, "ncclCommInitRankConfig");
  load(state_, "ncclCommGetAsyncError");
  load(all_reduce_, "ncclAllReduce");
  load(finalize_, "ncclCommFinalize");
  load(destroy_, "ncclCommDestroy");
  load(abort_, "ncclCommAbort");
  load(error_string_, "ncclGetErrorString");
  load(last_error_, "ncclGetLastError");
  get_version_(&version_);
  Dl_info where{};
  if (dladdr(reinterpret_cast<void*>(init_), &where) && where.dli_fname) path_ = where.dli_fname;
}

UniqueId Library::unique_id() const {
  UniqueId id{};
  const Result result = get_unique_id_(&id);
  if (result != Result::success) throw Error("ERR_NCCL", text("ncclGetUniqueId", result, nullptr));
  return id;
}

Result Library::init(Handle& made, int ranks, const UniqueId& id, int rank) const {
  Config config;
  return init_(&made, ranks, id, rank, &config);
}

Result Library::state(Handle handle) const {
  Result state = Result::success;
  const Result result = state_(handle, &state);
  return result == Result::success ? state : result;
}

Result Library::all_reduce(void* data, size_t count, DType dtype, Handle handle, cudaStream_t stream) const {
  return all_reduce_(data, data, count, type_of(dtype), kSum, handle, stream);
}

std::string Library::text(const char* function, Result result, Handle handle) const {
  std::string words = std::string(function) + " failed: " + error_string_(result);
  const char* more = last_error_(handle);
  if (more && *more) words += std::string(" (") + more + ")";
  return words;
}

}  // namespace warpdice::nccl
