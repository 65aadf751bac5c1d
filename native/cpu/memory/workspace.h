#pragma once
#include <cstddef>

namespace warpdice::cpu {

/// Scratch memory of one thread. It grows to what the largest call needed and is kept, so that later calls allocate
/// nothing. Its functions are not inline: each SIMD target would leave a copy for the linker, compiled for its own
/// CPUs.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  /// At least size_bytes, aligned to 64; what was there is lost. Throws Error.
  void* reserve(size_t size_bytes);

  /// Frees the memory if it has grown beyond 16 MiB, which only a very large number of classes needs.
  void trim();

 private:
  void* data_ = nullptr;
  size_t size_bytes_ = 0;
};

}  // namespace warpdice::cpu
