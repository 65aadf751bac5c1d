// Hard metrics: counts of which class is predicted where which class is right (math/counts.h). The counts are integers,
// so the order of atomic additions does not change them.
//
// The blocks share the voxels of a sample. Neighbouring voxels are often alike, so a thread counts how often the same
// cell comes in a row and adds that number once: to the block's table in shared memory or, where the table would be too
// large, to the result.
#include "cuda/kernels/count.h"

#include "cuda/kernels/finish.cuh"
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
    if (work.inputs.decision == Decision::labels) {
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

/// Turns the counters into LabelFaults. given: the arrays as the caller passed them. One thread.
__global__ void count_faults_kernel(DeviceCountWork work, Inputs given, LabelFault* faults) {
  // Predictions are checked as a target is, see count_pairs_kernel.
  const FaultKind kind = target_kind(given.predictions, given.labels);
  faults[0] = fault_in(given.predictions, kind, work.prediction_faults->target);
  faults[1] = fault_in(given.target, target_kind(given.target, given.labels), work.target_faults->target);
}

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

cudaError_t launch_count(const DeviceCountWork& work, cudaStream_t stream) {
  switch (work.inputs.in.predictions.dtype) {
    case DType::float64:
      return launch_count<double>(work, stream);
    case DType::float16:
      return launch_count<Float16>(work, stream);
    case DType::bfloat16:
      return launch_count<BFloat16>(work, stream);
    default:  // label maps too
      return launch_count<float>(work, stream);
  }
}

}  // namespace

size_t workspace_bytes(const DeviceCount& count) { return kCountersBytes + widened_bytes(count.in); }

cudaError_t enqueue(const DeviceCount& count, void* workspace, cudaStream_t stream) {
  if (blocks_of(count) > kMaxBlocks) return cudaErrorInvalidConfiguration;
  Counters* counters = static_cast<Counters*>(workspace);
  DeviceCountWork work = {
      count,    count.cells(), chunks_of(count.in), count.counts, count.by_sample ? count.rows : nullptr,
      counters, counters + 1};
  const auto bytes_of = [](int64_t numbers) { return static_cast<size_t>(numbers) * sizeof(unsigned long long); };
  cudaError_t status = zero(counters, kCountersBytes, stream);
  if (status == cudaSuccess) status = zero(count.counts, bytes_of(work.cells), stream);
  if (status == cudaSuccess && work.rows) {
    status = zero(work.rows, bytes_of(count.in.samples * count.in.classes * 4), stream);
  }
  if (status == cudaSuccess) {
    status = widen_operands(work.inputs.in, static_cast<char*>(workspace) + kCountersBytes, stream);
  }
  if (status == cudaSuccess) status = launch_count(work, stream);
  if (status != cudaSuccess) return status;
  return launch(count_faults_kernel, dim3(1), dim3(1), 0, stream, work, count.in, count.faults);
}

}  // namespace warpdice::cuda
