// Hard metrics: counts of which class is predicted where which class is right (math/counts.h). The counts are integers,
// so the order of atomic additions does not change them.
//
// The blocks share the voxels of a sample. Neighbouring voxels are often alike, so a thread counts how often the same
// cell comes in a row and adds that number once: to the block's table in shared memory or, where the table would be too
// large, to the result.
//
// With a head the logits are not in memory. For argmax its kernel writes the class of each voxel, which the counting
// kernel reads in place of predictions; for a threshold it counts the decisions itself (head_predict.cuh).
#include "cuda/kernels/count.h"

#include "cuda/kernels/finish.cuh"
#include "cuda/kernels/head.h"
#include "cuda/kernels/widen_operands.h"

namespace warpdice::cuda {
namespace {

constexpr int64_t kVoxelsPerBlock = 32768;
/// The most cells of a table: 32 KiB, which fit the shared memory that every kernel may use.
constexpr int64_t kMaxTabled = 8192;
/// The workspace begins with two Counters; then comes what widen_operands() needs.
constexpr size_t kCountersBytes = 256;
static_assert(2 * sizeof(Counters) <= kCountersBytes);

/// The voxels that a thread reads at once. 8 of half precision would spill registers.
template <class P>
constexpr int kAtOnce = kPackOf<P> > 4 ? 4 : kPackOf<P>;

/// What the kernels read and write.
struct DeviceCountWork {
  CountInputs inputs;
  int64_t cells;
  int64_t chunks;              // blocks that share a sample, or one class of it
  unsigned long long* counts;  // [cells]
  unsigned long long* rows;    // [N,C,4], or null
  Counters *prediction_faults, *target_faults;
  const uint16_t* predicted;  // [N,S]: the classes, C for none; null: those of the predictions
};

/// Adds to a cell, and to the row of the sample.
__device__ void add_to_cell(const DeviceCountWork& work, int64_t n, int64_t cell, unsigned more) {
  const unsigned long long voxels = more;
  atomicAdd(&work.counts[cell], voxels);
  if (!work.rows) return;
  const int64_t C = work.inputs.in.classes;
  const RowPlaces row = row_places(work.inputs.decision, C, cell);
  for (int i = 0; i < 3; i++) {
    if (row.places[i] >= 0) atomicAdd(&work.rows[n * C * 4 + row.places[i]], voxels);
  }
}

/// Counts runs of the same cell. Adds them to the block's table, or to the results where `table` is null.
struct Tally {
  const DeviceCountWork& work;
  int64_t n;
  unsigned* table;
  int64_t cell = -1;
  unsigned run = 0;

  __device__ void flush() {
    if (run == 0) return;
    if (table) atomicAdd(&table[cell], run);
    else add_to_cell(work, n, cell, run);
  }
  __device__ void add(int64_t next) {
    if (next != cell) {
      flush();
      cell = next;
      run = 0;
    }
    run++;
  }
};

/// Loads class c of kCount neighbouring voxels from (n, s) on. Returns where the first one lies in the operand.
template <class P, int kCount>
__device__ int64_t load_class(const Inputs& in, const Operand& operand, int64_t n, int64_t c, int64_t s,
                              Accumulator<P> (&values)[kCount]) {
  if (!in.channels_last) {
    const int64_t first = (n * in.classes + c) * in.voxels + s;
    load_operand<P>(operand, first, in.voxels - s, values);
    return first;
  }
  const int64_t first = (n * in.voxels + s) * in.classes + c;
  for (int j = 0; j < kCount; j++) {
    Accumulator<P> one[1];
    load_operand<P>(operand, first + j * in.classes, s + j < in.voxels ? 1 : 0, one);
    values[j] = one[0];
  }
  return first;
}

/// Where the values of an array that are invalid are counted.
struct Check {
  Counters* faults;  // null: not at all
  bool is_target;    // a NaN is invalid
};

/// Counts what is neither 0 nor 1 in a uint8 array, and what can be no probability in a float array. count: the voxels
/// that are there; the others, and those of weight 0, may have any value.
template <class A, int kCount>
__device__ void note_invalid(const Inputs& in, DType dtype, int64_t first, int64_t count, const A (&values)[kCount],
                             const A (&weight)[kCount], const Check& check) {
  if (!check.faults) return;
  const A least = dtype == DType::uint8 ? A{0} : static_cast<A>(-kProbabilityTolerance);
  const A most = dtype == DType::uint8 ? A{1} : static_cast<A>(1 + kProbabilityTolerance);
  for (int j = 0; j < kCount; j++) {
    const bool inside = values[j] >= least && values[j] <= most;
    if (inside || j >= count || weight[j] == 0 || (values[j] != values[j] && !check.is_target)) continue;
    note_fault(check.faults->target, first + (in.channels_last ? j * in.classes : j));
  }
}

/// Finds the class with the largest value, the lowest one at a tie. Without a class, which is C, are voxels with a NaN
/// and, in masks and targets, voxels where no value is above 0.
template <class P, int kCount>
__device__ void find_class(const Inputs& in, const Operand& operand, int64_t n, int64_t s, bool is_mask,
                           const Accumulator<P> (&weight)[kCount], const Check& check, int (&classes)[kCount]) {
  using A = Accumulator<P>;
  const int none = static_cast<int>(in.classes);
  A largest[kCount];
  bool ordered[kCount];
  for (int64_t c = 0; c < in.classes; c++) {
    A values[kCount];
    const int64_t first = load_class<P>(in, operand, n, c, s, values);
    note_invalid(in, operand.dtype, first, in.voxels - s, values, weight, check);
    for (int j = 0; j < kCount; j++) {
      if (c == 0) ordered[j] = true;
      if (c == 0 || values[j] > largest[j]) {
        largest[j] = values[j];
        classes[j] = static_cast<int>(c);
      }
      ordered[j] = ordered[j] && values[j] == values[j];
    }
  }
  for (int j = 0; j < kCount; j++) {
    if (!ordered[j] || (is_mask && !(largest[j] > 0))) classes[j] = none;
  }
}

/// Decision::argmax and Decision::labels. P: the type of the predictions; any for label maps.
template <class P>
__global__ void __launch_bounds__(kThreads, 2) count_pairs_kernel(DeviceCountWork work) {
  constexpr int kCount = kAtOnce<P>;
  using A = Accumulator<P>;
  const Inputs& in = work.inputs.in;
  const int64_t cells = work.cells, S = in.voxels;
  const int64_t n = blockIdx.x / work.chunks, chunk = blockIdx.x % work.chunks;
  const int C = static_cast<int>(in.classes);
  unsigned* table = cells <= kMaxTabled ? shared_memory<unsigned>() : nullptr;
  if (table) {
    for (int64_t i = threadIdx.x; i < cells; i += kThreads) table[i] = 0;
  }
  __syncthreads();  // the whole table is 0
  Inputs map = in;  // the predictions of Decision::labels, read as a target is
  map.target = in.predictions;
  Tally tally{work, n, table};
  const int64_t stride = work.chunks * kThreads * kCount;
  for (int64_t s = (chunk * kThreads + threadIdx.x) * kCount; s < S; s += stride) {
    Voxels<A, kCount> voxels;
    load_voxels<P>(in, n * S + s, S - s, voxels, work.target_faults);
    int truth[kCount], predicted[kCount];
    if (in.labels) {
      for (int j = 0; j < kCount; j++) truth[j] = voxels.class_index[j] < 0 ? C : voxels.class_index[j];
    } else {
      find_class<P>(in, in.target, n, s, true, voxels.weight, {work.target_faults, true}, truth);
    }
    if (work.predicted) {
      uint16_t classes[kCount];
      load(work.predicted + n * S + s, S - s, classes);
      for (int j = 0; j < kCount; j++) predicted[j] = classes[j];
    } else if (work.inputs.decision == Decision::labels) {
      Voxels<A, kCount> mapped;
      load_voxels<P>(map, n * S + s, S - s, mapped, work.prediction_faults);
      for (int j = 0; j < kCount; j++) predicted[j] = mapped.class_index[j] < 0 ? C : mapped.class_index[j];
    } else {
      const bool masks = work.inputs.predicts_masks();
      find_class<P>(in, in.predictions, n, s, masks, voxels.weight, {masks ? work.prediction_faults : nullptr, false},
                    predicted);
    }
    for (int j = 0; j < kCount; j++) {
      if (voxels.weight[j] != 0) tally.add(truth[j] * (in.classes + 1) + predicted[j]);
    }
  }
  tally.flush();
  if (!table) return;
  __syncthreads();  // every thread has counted
  for (int64_t i = threadIdx.x; i < cells; i += kThreads) {
    if (table[i] != 0) add_to_cell(work, n, i, table[i]);
  }
}

/// Decision::threshold. A block has one class. A NaN is not above the threshold.
template <class P>
__global__ void __launch_bounds__(kThreads, 2) count_classes_kernel(DeviceCountWork work) {
  constexpr int kCount = kAtOnce<P>;
  using A = Accumulator<P>;
  const Inputs& in = work.inputs.in;
  const int64_t C = in.classes, S = in.voxels;
  const int64_t row = blockIdx.x / work.chunks, chunk = blockIdx.x % work.chunks, n = row / C, c = row % C;
  const A threshold = static_cast<A>(work.inputs.threshold);
  const bool checks = work.inputs.predicts_masks() || work.inputs.predicts_probabilities();
  const Check check{checks ? work.prediction_faults : nullptr, false};
  unsigned* table = shared_memory<unsigned>();
  if (threadIdx.x < 4) table[threadIdx.x] = 0;
  __syncthreads();  // the whole table is 0
  Tally tally{work, n, table};
  const int64_t stride = work.chunks * kThreads * kCount;
  for (int64_t s = (chunk * kThreads + threadIdx.x) * kCount; s < S; s += stride) {
    Voxels<A, kCount> voxels;
    // All classes have the same labels, so only class 0 looks for faults.
    load_voxels<P, true>(in, n * S + s, S - s, voxels, c == 0 ? work.target_faults : nullptr);
    if (in.class_weight.data) {
      A own[kCount];
      load_class<P>(in, in.class_weight, n, c, s, own);
      for (int j = 0; j < kCount; j++) voxels.weight[j] = voxels.weight[j] != 0 ? own[j] : 0;
    }
    A values[kCount], target[kCount] = {};
    if (!in.labels) {
      const int64_t first = load_class<P>(in, in.target, n, c, s, target);
      for (int j = 0; j < kCount; j++) {
        if (in.has_ignore && target[j] == static_cast<A>(in.ignore_index)) voxels.weight[j] = 0;
      }
      note_invalid(in, in.target.dtype, first, S - s, target, voxels.weight, {work.target_faults, true});
    }
    const int64_t first = load_class<P>(in, in.predictions, n, c, s, values);
    note_invalid(in, in.predictions.dtype, first, S - s, values, voxels.weight, check);
    for (int j = 0; j < kCount; j++) {
      const bool is_target = in.labels ? voxels.class_index[j] == c : target[j] > A{0.5};
      if (voxels.weight[j] != 0) tally.add((is_target ? 2 : 0) + (values[j] > threshold ? 1 : 0));
    }
  }
  tally.flush();
  __syncthreads();  // every thread has counted
  if (threadIdx.x < 4 && table[threadIdx.x] != 0) add_to_cell(work, n, c * 4 + threadIdx.x, table[threadIdx.x]);
}

/// Element `index` of the logits' array.
__device__ double logit_at(const Inputs& in, const Head& head, int64_t index) {
  const int64_t C = in.classes, S = in.voxels, K = head.channels;
  const int64_t n = index / (C * S), c = in.channels_last ? index % C : index / S % C;
  const int64_t s = in.channels_last ? index / C % S : index % S;
  double z = head.bias.data ? value_at(head.bias, c) : 0;
  for (int64_t k = 0; k < K; k++) {
    const int64_t at = in.channels_last ? (n * S + s) * K + k : (n * K + k) * S + s;
    z += value_at(head.weight, c * K + k) * value_at(in.predictions, at);
  }
  return z;
}

/// Turns the counters into LabelFaults. given: the arrays as the caller passed them. One thread.
__global__ void count_faults_kernel(DeviceCountWork work, Inputs given, Head head, LabelFault* faults) {
  // Predictions are checked as a target is, see count_pairs_kernel.
  const FaultKind kind = target_kind(given.predictions, given.labels);
  faults[0] = fault_of(kind, work.prediction_faults->target, [&](int64_t i) {
    return head.channels ? logit_at(given, head, i) : value_at(given.predictions, i);
  });
  faults[1] = fault_in(given.target, target_kind(given.target, given.labels), work.target_faults->target);
}

/// The offsets of the parts of the workspace.
struct Places {
  size_t widened = kCountersBytes, head, predicted, size_bytes;

  explicit Places(const DeviceCount& count) {
    const Inputs& in = count.in;
    const bool has_map = count.head.channels && count.decision == Decision::argmax;
    head = widened + widened_bytes(in);
    predicted = head + (count.head.channels ? head_bytes(head_shape_of(in, count.head), in, false) : 0);
    const size_t map = has_map ? static_cast<size_t>(in.samples * in.voxels) * sizeof(uint16_t) : 0;
    size_bytes = predicted + (map + 255) / 256 * 256;
  }
};

int64_t chunks_of(const Inputs& in) { return (in.voxels + kVoxelsPerBlock - 1) / kVoxelsPerBlock; }

int64_t blocks_of(const CountInputs& inputs) {
  const Inputs& in = inputs.in;
  return in.samples * (inputs.decision == Decision::threshold ? in.classes : 1) * chunks_of(in);
}

template <class P>
cudaError_t launch_count(const DeviceCountWork& work, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks_of(work.inputs))), block(kThreads);
  if (work.inputs.decision == Decision::threshold)
    return launch(count_classes_kernel<P>, grid, block, 4 * sizeof(unsigned), stream, work);
  const size_t shared_bytes = work.cells <= kMaxTabled ? static_cast<size_t>(work.cells) * sizeof(unsigned) : 0;
  return launch(count_pairs_kernel<P>, grid, block, shared_bytes, stream, work);
}

/// Counts what a head predicts. work.predicted: where the classes go.
template <class P>
cudaError_t launch_with_head(const DeviceCountWork& work, const Head& head, char* base, cudaStream_t stream) {
  const Inputs& in = work.inputs.in;
  const HeadShape shape = head_shape_of(in, head);
  const HeadMemory<Accumulator<P>> memory = place_head<Accumulator<P>>(shape, in, base);
  cudaError_t status = launch_pack_head(shape, in, head, memory, false, stream);
  if (status != cudaSuccess) return status;
  if (work.inputs.decision == Decision::threshold) {
    const HeadCounts to = {work.counts, work.rows, work.prediction_faults, work.target_faults};
    return launch_head_count<P>(shape, work.inputs, memory, to, stream);
  }
  Inputs features = in;
  features.labels = features.has_ignore = false;
  features.weight = {};
  const ClassesOut out = {const_cast<uint16_t*>(work.predicted), false, static_cast<int>(in.classes)};
  status = launch_head_classes<P>(shape, features, memory, out, stream);
  return status == cudaSuccess ? launch_count<P>(work, stream) : status;
}

template <class P>
cudaError_t launch_any(const DeviceCountWork& work, const Head& head, char* base, cudaStream_t stream) {
  return head.channels ? launch_with_head<P>(work, head, base, stream) : launch_count<P>(work, stream);
}

cudaError_t launch_any(const DeviceCountWork& work, const Head& head, char* base, cudaStream_t stream) {
  switch (work.inputs.in.predictions.dtype) {
    case DType::float64:
      return launch_any<double>(work, head, base, stream);
    case DType::float16:
      return launch_any<Float16>(work, head, base, stream);
    case DType::bfloat16:
      return launch_any<BFloat16>(work, head, base, stream);
    default:  // label maps too
      return launch_any<float>(work, head, base, stream);
  }
}

}  // namespace

const char* unsupported(const DeviceCount& count) {
  if (blocks_of(count) > kMaxBlocks) return kTooManyBlocks;
  return count.head.channels ? head_shape_of(count.in, count.head).refused : nullptr;
}

size_t workspace_bytes(const DeviceCount& count) {
  const Places at(count);
  return at.size_bytes;
}

cudaError_t enqueue(const DeviceCount& count, void* workspace, cudaStream_t stream) {
  if (blocks_of(count) > kMaxBlocks) return cudaErrorInvalidConfiguration;
  if (unsupported(count)) return cudaErrorNotSupported;
  const Places at(count);
  char* const base = static_cast<char*>(workspace);
  Counters* counters = static_cast<Counters*>(workspace);
  DeviceCountWork work = {
      count,        count.cells(), chunks_of(count.in), count.counts, count.by_sample ? count.rows : nullptr, counters,
      counters + 1, nullptr};
  if (at.size_bytes > at.predicted) work.predicted = reinterpret_cast<uint16_t*>(base + at.predicted);
  const auto bytes_of = [](int64_t numbers) { return static_cast<size_t>(numbers) * sizeof(unsigned long long); };
  cudaError_t status = zero(counters, kCountersBytes, stream);
  if (status == cudaSuccess) status = zero(count.counts, bytes_of(work.cells), stream);
  if (status == cudaSuccess && work.rows) {
    status = zero(work.rows, bytes_of(count.in.samples * count.in.classes * 4), stream);
  }
  if (status == cudaSuccess) status = widen_operands(work.inputs.in, base + at.widened, stream);
  if (status == cudaSuccess) status = launch_any(work, count.head, base + at.head, stream);
  if (status != cudaSuccess) return status;
  return launch(count_faults_kernel, dim3(1), dim3(1), 0, stream, work, count.in, count.head, count.faults);
}

}  // namespace warpdice::cuda
