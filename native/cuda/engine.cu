// Which kernels a call needs, on which grid, and where in the workspace they meet.
#include "cuda/engine.h"

#include "cuda/geometry.h"
#include "cuda/kernels/finish.cuh"
#include "cuda/kernels/widen_operands.h"

namespace warpdice::cuda {
namespace {

/// Enough for any GPU; blocks that wait for the others cost nothing but their turn.
constexpr int64_t kMostFinishBlocks = 512;

bool differentiates(const Call& call) { return call.steps & (kGradient | kTargetGradient); }

/// The workspace: parts that follow each other, each aligned to 256 bytes.
struct Workspace {
  size_t readable, partials, sums, statistics, group_totals, slopes, counters, size_bytes;  // offsets in bytes

  Workspace(const DeviceCall& call, const Geometry& geometry) {
    const size_t rows = static_cast<size_t>(call.in.samples * call.in.classes);
    const size_t groups = static_cast<size_t>(call.groups()), terms = groups * static_cast<size_t>(call.in.classes);
    const bool computes = call.steps & kStatistics;
    size_t end = 0;
    const auto place = [&](size_t bytes) {
      const size_t begin = end;
      end += (bytes + 255) / 256 * 256;
      return begin;
    };
    readable = place(readable_bytes(call.in));
    partials = place(computes ? rows * geometry.chunks * sizeof(Sums) : 0);
    sums = place(computes ? rows * sizeof(Sums) : 0);
    statistics = place(computes ? terms * sizeof(Sums) : 0);
    group_totals = place(groups * sizeof(GroupTotals));
    slopes = place(differentiates(call) ? terms * sizeof(Slope<double>) : 0);
    counters = place(sizeof(Counters));
    size_bytes = end;
  }
};

#define WARPDICE_TRY(status) \
  if (const cudaError_t failed = (status); failed != cudaSuccess) return failed

template <class P>
cudaError_t enqueue_as(const DeviceCall& call, const Geometry& geometry, char* base, cudaStream_t stream) {
  using A = Accumulator<P>;
  Inputs in = call.in;
  const Workspace at(call, geometry);
  WARPDICE_TRY(make_readable(in, base + at.readable, stream));
  const bool computes = call.steps & kStatistics;
  Sums* sums = reinterpret_cast<Sums*>(base + at.sums);
  Slope<A>* slopes = differentiates(call) ? reinterpret_cast<Slope<A>*>(base + at.slopes) : nullptr;
  Sums* partials = computes ? reinterpret_cast<Sums*>(base + at.partials) : nullptr;
  Counters* counters = reinterpret_cast<Counters*>(base + at.counters);

  WARPDICE_TRY(zero(counters, sizeof *counters, stream));  // also after a launch that failed half way
  if (computes) WARPDICE_TRY(launch_statistics<P>(geometry, in, partials, counters, stream));
  FinishWork<A> work;
  work.in = in;
  work.options = call.options;
  work.groups = call.groups();
  work.chunks = geometry.chunks;
  work.partials = partials;
  work.sums = sums;
  work.statistics = reinterpret_cast<Sums*>(call.statistics);
  if (!work.statistics) work.statistics = reinterpret_cast<Sums*>(base + at.statistics);
  work.group_totals = reinterpret_cast<GroupTotals*>(base + at.group_totals);
  work.value = call.steps & kFinalize ? call.value : nullptr;
  work.parts = call.steps & kFinalize ? call.parts : nullptr;
  work.per_class = call.steps & kFinalize ? call.per_class : nullptr;
  work.upstream = {call.upstream, call.upstream_dtype};
  work.scale = call.scale;
  work.device_scale = call.device_scale;
  work.slopes = slopes;
  work.counters = counters;
  work.faults = call.faults;
  const int64_t rows = computes ? in.samples * in.classes : 1, blocks = (rows + kWarps - 1) / kWarps;
  const dim3 finish_grid(static_cast<unsigned>(blocks < kMostFinishBlocks ? blocks : kMostFinishBlocks));
  WARPDICE_TRY(launch(finish_kernel<A>, finish_grid, dim3(kThreads), sizeof(FinishShared), stream, work));
  const bool pooled = call.options.pooled;
  const Slope<A>* first = slopes + (pooled ? 0 : call.sample_offset * in.classes);
  // The target's first: the other may replace the predictions.
  if (call.steps & kTargetGradient) {
    WARPDICE_TRY(launch_target_gradient<P>(target_geometry_of(in), in, first, pooled, call.target_grad, stream));
  }
  if (!(call.steps & kGradient)) return cudaSuccess;
  return launch_gradient<P>(geometry, in, first, pooled, call.grad, stream);
}

/// What enqueue() does not do, on this geometry.
const char* refusal(const DeviceCall& call, const Geometry& geometry) {
  if (geometry.refused || !(call.steps & kTargetGradient) || !target_geometry_of(call.in).refused) {
    return geometry.refused;
  }
  return "The gradient of a target of so many classes does not fit every GPU.";
}

}  // namespace

const char* unsupported(const DeviceCall& call) { return refusal(call, geometry_of(call.in)); }

size_t workspace_bytes(const DeviceCall& call) { return Workspace(call, geometry_of(call.in)).size_bytes; }

cudaError_t enqueue(const DeviceCall& call, void* workspace, cudaStream_t stream) {
  const Geometry geometry = geometry_of(call.in);
  if (refusal(call, geometry)) return cudaErrorNotSupported;
  char* base = static_cast<char*>(workspace);
  switch (call.in.predictions.dtype) {
    case DType::float32:
      return enqueue_as<float>(call, geometry, base, stream);
    case DType::float64:
      return enqueue_as<double>(call, geometry, base, stream);
    case DType::float16:
      return enqueue_as<Float16>(call, geometry, base, stream);
    case DType::bfloat16:
      return enqueue_as<BFloat16>(call, geometry, base, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace warpdice::cuda
