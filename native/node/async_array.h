#pragma once
// Arrays of calls off the event loop. JavaScript could move or detach plain memory during the call, so inputs are
// copied before it and outputs after it. Shared memory is used in place.
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "cpu/engine.h"
#include "node/array_argument.h"

namespace warpdice {

/// The call's own copy of an array; unused for shared memory.
class OwnCopy {
 public:
  /// How many bytes take() will copy.
  static size_t bytes_of(const Array& array) {
    return array.memory.data && !array.memory.shared ? array.used_bytes : 0;
  }

  /// Points the array at own memory of the same size, and copies its content if the call reads it.
  void take(Array& array, bool is_read) {
    if (bytes_of(array) == 0) return;
    data_.reset(static_cast<char*>(std::malloc(array.used_bytes)));
    if (!data_) throw std::bad_alloc();
    size_bytes_ = array.used_bytes;
    if (is_read) cpu::copy(data_.get(), array.memory.data, array.used_bytes);
    array.memory.data = data_.get();
  }

  /// Returns how many bytes it frees.
  size_t free() {
    data_.reset();
    return std::exchange(size_bytes_, 0);
  }

  explicit operator bool() const { return data_ != nullptr; }
  const char* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  std::unique_ptr<char, Free> data_;
  size_t size_bytes_ = 0;
};

/// The caller's memory for a result; none when it was detached meanwhile.
inline Memory memory_after(Napi::Env env, napi_value array, const char* name, size_t used_bytes) {
  const Memory memory = memory_of(env, array, name);
  if (memory.size_bytes >= used_bytes) return memory;
  throw Napi::TypeError::New(
      env, std::string("Expected ") + name + " to keep its memory during the call but it was detached or shrunk");
}

}  // namespace warpdice
