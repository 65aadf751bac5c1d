#pragma once
#include <cstddef>

namespace warpdice::cpu {

/// Scratch memory of one thread. It grows to what the largest call needed and is kept, so that later calls allocate
/// nothing; but all workspaces of the process together keep no more than kKeptBytes. Its functions are not inline: each
/// SIMD target would leave a copy for the linker, compiled for its own CPUs.
class Workspace {
 public:
  static constexpr size_t kKeptBytes = size_t{64} << 20;

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  /// At least size_bytes, aligned to 64; what was there is lost. Throws Error.
  void* reserve(size_t size_bytes);

  /// After use: frees the memory if the process would keep more than kKeptBytes. Every thread that has reserved memory
  /// calls it when it is done, so the sum stays below the limit between calls.
  void trim();

  /// What all workspaces of the process hold, for tests.
  static size_t held_bytes();

 private:
  void release();

  void* data_ = nullptr;
  size_t size_bytes_ = 0;
};

/// Trims a workspace at the end of a scope.
class TrimmedAtEnd {
 public:
  explicit TrimmedAtEnd(Workspace& workspace) : workspace_(workspace) {}
  TrimmedAtEnd(const TrimmedAtEnd&) = delete;
  TrimmedAtEnd& operator=(const TrimmedAtEnd&) = delete;
  ~TrimmedAtEnd() { workspace_.trim(); }

 private:
  Workspace& workspace_;
};

}  // namespace warpdice::cpu
