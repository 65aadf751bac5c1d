#pragma once
// What each SIMD target provides: steps 1 and 3 on a run of voxels of one sample. engine.cc picks the
// target once and hands out the runs.
#include "../dice.h"

namespace warpdice::cpu {

/// Runs start at a multiple of this many voxels: a whole number of steps on every target.
constexpr int64_t kRunAlignment = 64;

/// Voxels [begin, end) of sample n.
struct Run {
  int64_t n, begin, end;
};

/// Memory of one thread that grows to what the largest call needed and is kept.
class Workspace {
 public:
  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  /// At least size_bytes, aligned to 64; what was there is lost. Throws Error.
  void* reserve(size_t size_bytes);

 private:
  void* data_ = nullptr;
  size_t size_bytes_ = 0;
};

struct Kernels {
  const char* name;

  /// sums: [C], written. Returns the run's invalid target values.
  LabelFault (*statistics)(const Inputs& in, const Run& run, Workspace& workspace, Sums* sums);

  /// coefficients: [C].
  void (*gradient)(const Inputs& in, const Run& run, Workspace& workspace, const Coefficients* coefficients,
                   const GradientOut& out);

  void (*stream_copy)(void* to, const void* from, size_t size_bytes);
};

}  // namespace warpdice::cpu
