#pragma once
// Memory that processes share, for the handles by which CUDA's processes open each other's memory and events.
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fake {

/// The 64 bytes of a handle: a descriptor of the process that exports, and what it must still be.
struct SharedName {
  int64_t process = 0, descriptor = 0, inode = 0;
  int64_t device = 0;  // on which it is, for memory
};

/// Mapped memory without a name in any file system: it is there for as long as somebody has it.
class Shared {
 public:
  /// Null when the system has no more.
  static std::shared_ptr<Shared> make(size_t size_bytes);
  /// What another process has made; null when it is no longer there.
  static std::shared_ptr<Shared> open(const SharedName& name);

  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared();

  void* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  /// For other processes, while this one lives.
  SharedName name() const;

 private:
  Shared(int descriptor, void* data, size_t size_bytes)
      : descriptor_(descriptor), data_(data), size_bytes_(size_bytes) {}
  static std::shared_ptr<Shared> map(int descriptor);

  const int descriptor_;
  void* const data_;
  const size_t size_bytes_;
};

/// Whether this process made it.
bool is_own(const SharedName& name);

}  // namespace fake
