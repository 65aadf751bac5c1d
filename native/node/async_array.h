#pragma once
// Arrays of calls off the event loop: memory that JavaScript could move or detach meanwhile is copied, inputs before,
// outputs after. Shared memory is used where it is.
#include <cstdlib>
#include <memory>
#include <new>

#include "cpu/engine.h"
#include "node/array_argument.h"

namespace warpdice {

/// The call's own memory in place of an array's, where it needs such.
class OwnCopy {
 public:
  /// Points the array at memory of its size, with its content if that is read.
  void take(Array& array, bool is_read) {
    if (!array.memory.data || array.memory.shared) return;
    data_.reset(static_cast<char*>(std::malloc(array.used_bytes)));
    if (!data_) throw std::bad_alloc();
    if (is_read) cpu::copy(data_.get(), array.memory.data, array.used_bytes);
    array.memory.data = data_.get();
  }

  explicit operator bool() const { return data_ != nullptr; }
  const char* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> data_;
};

/// Where the caller wants a result, if that is still there.
inline Memory memory_after(Napi::Env env, napi_value array, const char* name, size_t used_bytes) {
  const Memory memory = memory_of(env, array, name);
  if (memory.size_bytes >= used_bytes) return memory;
  throw Napi::TypeError::New(
      env, std::string("Expected ") + name + " to keep its memory during the call but it was detached or shrunk");
}

}  // namespace warpdice
