// Enqueues the kernels that a call needs, and lays out the workspace through which they pass numbers on.
#include "cuda/engine.h"

#include "cuda/geometry.h"
#include "cuda/kernels/finish.cuh"
#include "cuda/kernels/head.h"
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/widen_operands.h"

namespace warpdice::cuda {
namespace {

/// Enough blocks for any GPU.
constexpr int64_t kMaxFinishBlocks = 512;

/// Whether step 3 reads slopes of the whole batch.
bool shares_slopes(const Call& call) { return call.options.pooled && !call.pairs; }

bool differentiates(const Call& call) { return call.steps & (kGradient | kTargetGradient); }

/// How steps 1 and 3 are cut up: by the one for a head where the call has one.
struct Shape {
  Geometry geometry = {};
  HeadShape head = {};
  const char* refused;
  int64_t partials;           // of a sample and class
  int64_t statistics_blocks;  // of step 1

  explicit Shape(const DeviceCall& call) {
    if (call.head.channels) head = head_shape_of(call.in, call.head);
    else geometry = geometry_of(call.in);
    refused = call.head.channels ? head.refused : geometry.refused;
    partials = refused ? 0 : call.head.channels ? head.partials() : geometry.chunks;
    statistics_blocks = refused              ? 0
                        : call.head.channels ? call.in.samples * head.tile.chunks
                                             : geometry.blocks * geometry.slabs;
  }
};

/// The parts of the workspace, each aligned to 256 bytes.
struct Workspace {
  size_t widened, partials, sums, statistics, group_totals, slopes, totals, counters, head,
      size_bytes;  // offsets in bytes

  Workspace(const DeviceCall& call, const Shape& shape) {
    const size_t rows = static_cast<size_t>(call.in.samples * call.in.classes);
    const size_t groups = static_cast<size_t>(call.groups()), terms = groups * static_cast<size_t>(call.in.classes);
    const bool computes = call.steps & kStatistics;
    size_t end = 0;
    const auto place = [&](size_t bytes) {
      const size_t begin = end;
      end += (bytes + 255) / 256 * 256;
      return begin;
    };
    widened = place(widened_bytes(call.in));
    partials = place(computes ? rows * shape.partials * sizeof(Sums) : 0);
    sums = place(computes && call.options.pooled ? rows * sizeof(Sums) : 0);
    statistics = place(computes ? terms * sizeof(Sums) : 0);
    group_totals = place(groups * sizeof(GroupTotals));
    const size_t slope_rows = call.options.pooled && call.pairs ? rows : terms;
    slopes = place(differentiates(call) ? slope_rows * sizeof(ClassSlope<double>) : 0);
    totals = place(computes ? sizeof(Counters) + sizeof(unsigned) : 0);
    counters = place(computes ? static_cast<size_t>(shape.statistics_blocks) * sizeof(Counters) : 0);
    head = place(call.head.channels ? head_bytes(shape.head, call.in, call.steps & kGradient) : 0);
    size_bytes = end;
  }
};

/// Whether E of each class is needed, and not only their sum: for the caller, or for a loss that weighs classes.
bool needs_entropies(const DeviceCall& call) {
  const LossOptions& options = call.options;
  return call.statistics || options.class_weights || options.entropy_weights || call.pairs ||
         options.unified != Unified::none;
}

#define WARPDICE_TRY(status) \
  if (const cudaError_t failed = (status); failed != cudaSuccess) return failed

template <class P>
cudaError_t enqueue_as(const DeviceCall& call, const Shape& shape, char* base, cudaStream_t stream) {
  using A = Accumulator<P>;
  Inputs in = call.in;
  in.entropy_of_all = !needs_entropies(call);
  const Workspace at(call, shape);
  const bool has_head = call.head.channels;
  HeadMemory<A> memory = {};
  WARPDICE_TRY(widen_operands(in, base + at.widened, stream));
  const bool computes = call.steps & kStatistics;
  Sums* sums = reinterpret_cast<Sums*>(base + at.sums);
  ClassSlope<A>* slopes = differentiates(call) ? reinterpret_cast<ClassSlope<A>*>(base + at.slopes) : nullptr;
  Sums* partials = computes ? reinterpret_cast<Sums*>(base + at.partials) : nullptr;
  Counters* totals = reinterpret_cast<Counters*>(base + at.totals);
  const Notes notes = {reinterpret_cast<Counters*>(base + at.counters), totals,
                       reinterpret_cast<unsigned*>(totals + 1)};

  if (has_head) {
    memory = place_head<A>(shape.head, in, base + at.head);
    WARPDICE_TRY(launch_pack_head(shape.head, in, call.head, memory, call.steps & kGradient, stream));
    if (computes) WARPDICE_TRY(launch_head_statistics<P>(shape.head, in, memory, partials, notes, stream));
  } else if (computes) {
    WARPDICE_TRY(launch_statistics<P>(shape.geometry, in, partials, notes, stream));
  }
  FinishWork<A> work;
  work.in = in;
  work.options = call.options;
  work.groups = call.groups();
  work.chunks = shape.partials;
  work.partials = partials;
  work.statistics = reinterpret_cast<Sums*>(call.statistics);
  if (!work.statistics) work.statistics = reinterpret_cast<Sums*>(base + at.statistics);
  work.sums = call.options.pooled ? sums : work.statistics;
  work.group_totals = reinterpret_cast<GroupTotals*>(base + at.group_totals);
  work.value = call.steps & kFinalize ? call.value : nullptr;
  work.parts = call.steps & kFinalize ? call.parts : nullptr;
  work.per_class = call.steps & kFinalize ? call.per_class : nullptr;
  work.upstream = {call.upstream, call.upstream_dtype};
  work.pairs = {call.pairs, call.pairs_dtype};
  work.scale = call.scale;
  work.device_scale = call.device_scale;
  work.slopes = slopes;
  work.notes = notes;
  work.noting_blocks = shape.statistics_blocks;
  work.faults = call.faults;
  // A block takes up to three rows a warp in less time than blocks wait for each other.
  const int64_t rows = computes ? in.samples * in.classes : 1;
  const int64_t blocks = rows <= 3 * kWarps ? 1 : (rows + kWarps - 1) / kWarps;
  const dim3 finish_grid(static_cast<unsigned>(blocks < kMaxFinishBlocks ? blocks : kMaxFinishBlocks));
  const Known known = known_of(work.options, work.pairs);
  const auto finish = known == Known::nothing ? finish_kernel<A, Known::nothing>
                      : known == Known::dice  ? finish_kernel<A, Known::dice>
                                              : finish_kernel<A, Known::dice_with_entropy>;
  WARPDICE_TRY(launch(finish, finish_grid, dim3(kThreads), sizeof(FinishShared), stream, work));
  const bool pooled = shares_slopes(call);
  const int64_t before = call.options.pooled ? 0 : call.sample_offset * in.classes;
  const ClassSlope<A>* first = slopes ? slopes + before : nullptr;
  // dL/dt comes first, because the gradient may replace the predictions.
  if (call.steps & kTargetGradient) {
    const GradientOut& out = call.target_grad;
    WARPDICE_TRY(has_head ? launch_head_target_gradient<P>(shape.head, in, memory, first, pooled, out, stream)
                          : launch_target_gradient<P>(target_geometry_of(in), in, first, pooled, out, stream));
  }
  if (!(call.steps & kGradient)) return cudaSuccess;
  if (!has_head) return launch_gradient<P>(shape.geometry, in, first, pooled, call.grad, stream);
  WARPDICE_TRY(launch_head_gradient<P>(shape.head, in, call.head, memory, first, pooled, call.grad, stream));
  return launch_add_head_parts(shape.head, in, call.head, memory, stream);
}

/// Null when enqueue() can do this; else a sentence that says why it cannot.
const char* refusal(const DeviceCall& call, const Shape& shape) {
  const bool for_target = call.steps & kTargetGradient && !call.head.channels;
  if (shape.refused || !for_target || !target_geometry_of(call.in).refused) return shape.refused;
  return "The gradient of a target of so many classes does not fit every GPU.";
}

}  // namespace

const char* unsupported(const DeviceCall& call) { return refusal(call, Shape(call)); }

size_t workspace_bytes(const DeviceCall& call) { return Workspace(call, Shape(call)).size_bytes; }

cudaError_t enqueue(const DeviceCall& call, void* workspace, cudaStream_t stream) {
  const Shape shape(call);
  if (refusal(call, shape)) return cudaErrorNotSupported;
  char* base = static_cast<char*>(workspace);
  switch (call.in.predictions.dtype) {
    case DType::float32:
      return enqueue_as<float>(call, shape, base, stream);
    case DType::float64:
      return enqueue_as<double>(call, shape, base, stream);
    case DType::float16:
      return enqueue_as<Float16>(call, shape, base, stream);
    case DType::bfloat16:
      return enqueue_as<BFloat16>(call, shape, base, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace warpdice::cuda
