#pragma once
// Memory that processes share. Handles of memory and events refer to it, so that other processes can open them.
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fake {

/// The content of a handle: a file descriptor of the exporting process, and the inode that it must still have.
struct SharedName {
  int64_t process = 0, descriptor = 0, inode = 0;
  int64_t device = 0;  // for memory: the device that has it
};

/// Mapped memory without a name in any file system. It exists for as long as a process has it open.
class Shared {
 public:
  /// Null when the system has no memory left.
  static std::shared_ptr<Shared> make(size_t size_bytes);
  /// Opens what another process has made. Null when it no longer exists.
  static std::shared_ptr<Shared> open(const SharedName& name);

  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared();

  void* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }
  /// The name for other processes. It is valid while this object lives.
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
