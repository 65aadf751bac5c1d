// The CPU engine: picks the SIMD target, cuts a call into runs and spreads them over the threads.
//
// The runs depend on the shape alone, and their sums are added in order: the same bits on any number of threads.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "cpu/engine.h"
#include "cpu/partition.h"
#include "cpu/parts.h"
#include "cpu/pool.h"

namespace warpdice::cpu {

#if defined(WARPDICE_X86)
namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#else
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

/// The best target that this CPU runs, or the one that WARPDICE_SIMD names if it can.
const Kernels& choose_kernels() {
#if defined(WARPDICE_X86)
  __builtin_cpu_init();
  // Clang 14 has no name for F16C here; every CPU with AVX2 has it.
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const char* forced = std::getenv("WARPDICE_SIMD");
  const std::string name = forced ? forced : "";
  if (name == "baseline") return baseline::kernels;
  if (name == "avx2" && has_avx2) return avx2::kernels;
  if (has_avx512 && name != "avx2") return avx512::kernels;
  return has_avx2 ? avx2::kernels : baseline::kernels;
#else
  return neon::kernels;
#endif
}

Workspace& workspace() {
  static thread_local Workspace memory;
  return memory;
}

/// By the shape of one sample: not by N, since a call may be done in groups of samples (call.cc).
Partition partition_of(const Inputs& in) {
  constexpr int64_t kLeastElements = 32768;
  constexpr int64_t kMostRuns = 256;       // per sample: enough for large machines
  constexpr int64_t kMostPartials = 8192;  // per sample: half a megabyte of sums
  return {in, kLeastElements, std::clamp<int64_t>(kMostPartials / in.classes, 16, kMostRuns)};
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose_kernels();
  return chosen;
}

void merge(LabelFault& into, const LabelFault& fault) {
  if (fault.count == 0) return;
  if (into.count == 0 || fault.first_index < into.first_index) {
    into.first_index = fault.first_index;
    into.first_value = fault.first_value;
  }
  into.count += fault.count;
}

Workspace::~Workspace() { std::free(data_); }

void* Workspace::reserve(size_t size_bytes) {
  if (size_bytes > size_bytes_) {
    std::free(data_);
    size_bytes_ = 0;
    const size_t rounded = (size_bytes + 63) / 64 * 64;
    data_ = std::aligned_alloc(64, rounded);
    if (!data_)
      throw Error("ERR_OUT_OF_MEMORY", "Could not allocate a workspace of " + std::to_string(rounded) + " bytes");
    size_bytes_ = rounded;
  }
  return data_;
}

void Workspace::trim() {
  constexpr size_t kKeptBytes = size_t{16} << 20;
  if (size_bytes_ <= kKeptBytes) return;
  std::free(data_);
  data_ = nullptr;
  size_bytes_ = 0;
}

LabelFault check_target(const Inputs& in, int64_t* counts) {
  if (!in.labels && in.target.dtype != DType::uint8) return {};  // floats may be anything
  const Partition partition = partition_of(in);
  const int64_t per_sample = in.classes + 1;
  if (counts) std::fill(counts, counts + in.samples * per_sample, 0);
  std::mutex mutex;
  LabelFault faults;
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(in, i);
    const LabelFault fault = kernels().check_target(in, run);
    int64_t* of_run = nullptr;
    if (counts) {
      of_run = static_cast<int64_t*>(workspace().reserve(per_sample * sizeof(int64_t)));
      std::fill(of_run, of_run + per_sample, 0);
      kernels().count_labels(in, run, of_run);
    }
    if (fault.count == 0 && !counts) return;
    std::lock_guard<std::mutex> lock(mutex);
    merge(faults, fault);
    for (int64_t c = 0; c < per_sample && counts; c++) counts[run.n * per_sample + c] += of_run[c];
  });
  return faults;
}

void statistics(const Inputs& in, Sums* sums, const GradientOut* keep) {
  const Partition partition = partition_of(in);
  const int64_t C = in.classes;
  // With one run per sample its sums are the sample's; else one partial per run.
  static thread_local Workspace partials_memory;
  Sums* partials = sums;
  if (partition.runs_per_sample > 1) {
    partials = static_cast<Sums*>(partials_memory.reserve(partition.runs * C * sizeof(Sums)));
  }
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    kernels().statistics(in, partition.run(in, i), workspace(), partials + i * C, keep);
    workspace().trim();
  });
  if (partials == sums) return;
  for (int64_t n = 0; n < in.samples; n++) {
    for (int64_t c = 0; c < C; c++) {
      Sums total = {};
      for (int64_t r = 0; r < partition.runs_per_sample; r++) {
        add(total, partials[(n * partition.runs_per_sample + r) * C + c]);
      }
      sums[n * C + c] = total;
    }
  }
}

int64_t samples_in_cache(const Inputs& in, const GradientOut& out) {
  constexpr int64_t kCacheBytes = int64_t{24} << 20;  // most of a server core complex's last level
  const size_t element_bytes = size_of(in.predictions.dtype) + size_of(out.dtype);
  return kCacheBytes / (in.classes * in.voxels * static_cast<int64_t>(element_bytes));
}

bool can_keep(const Inputs& in, const GradientOut& out) {
  const DType computed = in.predictions.dtype == DType::float64 ? DType::float64 : DType::float32;
  return in.plain() && in.activation != Activation::none && out.dtype == computed && !out.accumulate;
}

bool better_kept(const Inputs& in, const GradientOut& out) {
  const int bytes = kernels().vector_bytes;
  const bool large = samples_in_cache(in, out) == 0 && !in.interleaved();
  return can_keep(in, out) && (bytes < 32 || (bytes < 64 && large));
}

void gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out, bool kept) {
  const Partition partition = partition_of(in);
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    // From the end: what step 1 read last may still be in the cache.
    const Run run = partition.run(in, partition.runs - 1 - i);
    kernels().gradient(in, run, workspace(), coefficients + (pooled ? 0 : run.n * in.classes), out, kept);
    workspace().trim();
  });
}

void target_gradient(const Inputs& in, const Coefficients* coefficients, bool pooled, const GradientOut& out) {
  const Partition partition = partition_of(in);
  Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
    const Run run = partition.run(in, i);
    kernels().target_gradient(in, run, workspace(), coefficients + (pooled ? 0 : run.n * in.classes), out);
    workspace().trim();
  });
}

void copy(void* to, const void* from, size_t size_bytes) {
  for_parts(size_bytes, [&](size_t at, size_t bytes) {
    std::memcpy(static_cast<char*>(to) + at, static_cast<const char*>(from) + at, bytes);
  });
}

int threads() { return Pool::instance().threads(); }
void set_threads(int count) { Pool::instance().set_threads(count); }
const char* simd_target() { return kernels().name; }

}  // namespace warpdice::cpu
