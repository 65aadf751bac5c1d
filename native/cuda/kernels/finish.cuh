#pragma once
// Step 2, between the two passes over the voxels. Adds up the partial sums, then makes the loss and the slopes of the
// gradient from the sums, by math/finalize.h.
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"
#include "math/finalize.h"

namespace warpdice::cuda {

/// What finish_kernel reads and writes. The names are those of Call.
template <class A>
struct FinishWork {
  Inputs in;
  LossOptions options;
  int64_t groups;
  int64_t chunks;             // partials per sum
  const Sums* partials;       // [N,C,chunks]; null: one block reads `statistics` instead of writing them
  Sums* sums;                 // [N,C], scratch; not pooled: the statistics themselves
  Sums* statistics;           // [groups,C]
  GroupTotals* group_totals;  // [groups], scratch
  double* value;              // may be null, as may parts and per_class
  double* parts;
  double* per_class;
  Operand upstream;  // float32 or float64; data may be null
  Operand pairs;     // of any dtype, [groups,C] or, pooled, [N,C]: see Call
  double scale;
  Operand device_scale;
  ClassSlope<A>* slopes;  // [groups,C], or [N,C] where pooled samples have weights; null without a gradient
  Notes notes;            // with partials
  int64_t noting_blocks;  // of step 1
  LabelFault* faults;     // may be null
};

/// What a kernel knows of the loss when it is compiled: nothing, or that it is the mean Dice of all samples and
/// classes, alone or with a cross-entropy. The kernels of the commonest losses have fewer questions to ask.
enum class Known { nothing, dice, dice_with_entropy };

inline Known known_of(const LossOptions& options, const Operand& pairs) {
  const bool commonest = options.kind == LossKind::dice && options.reduction == Reduction::mean &&
                         options.transform == Transform::none && options.absent == Absent::formula &&
                         options.unified == Unified::none && !options.pooled && options.background &&
                         options.focal_factor == 0 && options.label_smoothing == 0 && !options.class_weights &&
                         !options.entropy_weights && !pairs.data;
  if (!commonest) return Known::nothing;
  return options.cross_entropy_factor == 0 ? Known::dice : Known::dice_with_entropy;
}

/// Writes into the options what known_of() has found, as constants for the compiler.
template <Known kKnown>
__device__ void apply_known(LossOptions& options, Operand& pairs) {
  if (kKnown == Known::nothing) return;
  if (kKnown == Known::dice) options.cross_entropy_factor = 0;
  options.kind = LossKind::dice;
  options.reduction = Reduction::mean;
  options.transform = Transform::none;
  options.absent = Absent::formula;
  options.unified = Unified::none;
  options.pooled = false;
  options.background = true;
  options.focal_factor = options.label_smoothing = 0;
  options.class_weights = options.entropy_weights = nullptr;
  pairs.data = nullptr;
}

/// The block's shared memory.
struct FinishShared {
  GroupTotals group[kWarps];    // of each warp, where it has one
  GroupTotals of_warp[kWarps];  // what the groups of each warp add up to
  GroupTotals total;
  double reduced[kWarps];  // each warp's part of the reduced overlap
  unsigned ticket;
};

/// sums[i] = sum over j of partials[i][j]. A warp takes one i at a time.
template <Known kKnown, class A>
__device__ void combine(const FinishWork<A>& work) {
  constexpr bool kCommonest = kKnown != Known::nothing;
  constexpr int kAtOnce = kCommonest ? 8 : 1;  // partials that a lane asks for before it adds them
  const int64_t rows = work.in.samples * work.in.classes;
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  for (int64_t i = int64_t{blockIdx.x} * kWarps + warp; i < rows; i += int64_t{gridDim.x} * kWarps) {
    Sums total = {};
    const Sums* partials = work.partials + i * work.chunks;
#pragma unroll 1
    for (int64_t j = lane; j < work.chunks; j += kAtOnce * kWarp) {
      Sums some[kAtOnce] = {};
#pragma unroll
      for (int k = 0; k < kAtOnce; k++) {
        if (j + k * kWarp < work.chunks) some[k] = partials[j + k * kWarp];
      }
#pragma unroll
      for (int k = 0; k < kAtOnce; k++) add(total, some[k]);
    }
    if (kCommonest) total.uniform = total.focal = 0;  // so that they are not even read
    if (kCommonest) warp_sum_commonest(total, kKnown == Known::dice_with_entropy);
    else warp_sum(total);
    total.weight = warp_sum(total.weight);
    if (lane == 0) work.sums[i] = total;
  }
}

/// Adds up what one counter says. Few have counted anything.
__device__ inline void collect(FaultCounter& to, const FaultCounter& from) {
  if (from.faults == 0) return;
  atomicAdd(&to.faults, from.faults);
  atomicMax(&to.largest_complement, from.largest_complement);
}

/// Adds up the partial sums and the invalid values that the blocks of step 1 have counted.
template <Known kKnown, class A>
__device__ void combine_and_collect(const FinishWork<A>& work) {
  const int64_t blocks = work.faults ? work.noting_blocks : 0, threads = int64_t{gridDim.x} * kThreads;
  const Counters* const of = work.notes.of_blocks;
  int64_t b = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  // Most threads have one block at most. What it has counted is asked for before the sums and looked at after them.
  unsigned long long found = b < blocks ? of[b].target.faults | of[b].predictions.faults : 0;
  combine<kKnown>(work);
  for (; b < blocks; b += threads, found = 1) {
    if (found == 0) continue;
    collect(work.notes.total->target, of[b].target);
    collect(work.notes.total->predictions, of[b].predictions);
  }
}

/// Whether all other blocks have ended. This block then sees what they wrote. All threads of the block must call it.
__device__ inline bool is_last_block(unsigned* ticket, unsigned* shared) {
  if (gridDim.x == 1) {
    __syncthreads();  // every thread has written its sums
    return true;
  }
  __syncthreads();  // every thread has written its sums
  if (threadIdx.x == 0) *shared = take_ticket(ticket);
  __syncthreads();  // thread 0 has stored the ticket
  return *shared == gridDim.x - 1;
}

/// Every lane gets the totals of so many neighbouring lanes, a power of two. What the loss does not need is 0, and
/// waits for no other lane. Nor is `counted` added up where the loss is known: the caller knows it.
template <Known kKnown>
__device__ void team_sum(const LossOptions& options, GroupTotals& x, int lanes) {
  const bool over_classes = options.sums_over_classes(), cross_entropy = options.cross_entropy_factor != 0;
  const bool focal = options.focal_factor != 0;
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    GroupTotals other = {};
    if (kKnown == Known::nothing) other.counted = __shfl_xor_sync(kAllLanes, x.counted, distance);
    if (over_classes) {
      other.numerator = __shfl_xor_sync(kAllLanes, x.numerator, distance);
      other.denominator = __shfl_xor_sync(kAllLanes, x.denominator, distance);
      other.absent_numerator = __shfl_xor_sync(kAllLanes, x.absent_numerator, distance);
      other.absent_denominator = __shfl_xor_sync(kAllLanes, x.absent_denominator, distance);
      other.largest_weight = __shfl_xor_sync(kAllLanes, x.largest_weight, distance);
      other.heaviest = __shfl_xor_sync(kAllLanes, x.heaviest, distance);
    }
    if (cross_entropy) {
      other.cross_entropy = __shfl_xor_sync(kAllLanes, x.cross_entropy, distance);
      other.cross_entropy_weight = __shfl_xor_sync(kAllLanes, x.cross_entropy_weight, distance);
    }
    if (focal) {
      other.focal = __shfl_xor_sync(kAllLanes, x.focal, distance);
      other.focal_weight = __shfl_xor_sync(kAllLanes, x.focal_weight, distance);
    }
    add(x, other);
  }
}

/// Element i of an array of float32 or float64; 1 where there is no array.
__device__ inline double factor_at(const Operand& factors, int64_t i) {
  if (!factors.data) return 1;
  return factors.dtype == DType::float64 ? static_cast<const double*>(factors.data)[i]
                                         : static_cast<const float*>(factors.data)[i];
}

/// Element i of an array of any dtype.
__device__ inline double value_at(const Operand& operand, int64_t i) {
  switch (operand.dtype) {
    case DType::float32:
      return static_cast<const float*>(operand.data)[i];
    case DType::float64:
      return static_cast<const double*>(operand.data)[i];
    case DType::float16:
      return widen(static_cast<const Float16*>(operand.data)[i]);
    case DType::bfloat16:
      return widen(static_cast<const BFloat16*>(operand.data)[i]);
    case DType::uint8:
      return static_cast<const uint8_t*>(operand.data)[i];
    case DType::int32:
      return static_cast<const int32_t*>(operand.data)[i];
    case DType::int64:
      return static_cast<double>(static_cast<const int64_t*>(operand.data)[i]);
    case DType::int16:
      return static_cast<const int16_t*>(operand.data)[i];
    case DType::uint16:
      return static_cast<const uint16_t*>(operand.data)[i];
  }
  return 0;
}

/// How often class i of [groups,C], of these sums, counts.
template <class A>
__device__ double pair_of(const FinishWork<A>& work, const Sums& sums, int64_t i) {
  return work.pairs.data ? pair_weight(work.options, value_at(work.pairs, i), sums) : 1;
}

/// Sums i of [N,C] where samples are pooled, with their weight.
template <class A>
__device__ Sums pooled_sums(const FinishWork<A>& work, int64_t i) {
  return work.pairs.data ? weighted(value_at(work.pairs, i), work.sums[i]) : work.sums[i];
}

/// What a counter says. value_of(i): value i.
template <class ValueOf>
__device__ LabelFault fault_of(FaultKind kind, const FaultCounter& counter, ValueOf value_of) {
  LabelFault fault;
  if (counter.faults == 0) return fault;
  fault.count = static_cast<int64_t>(counter.faults);
  fault.first_index = static_cast<int64_t>(~counter.largest_complement);
  fault.first_value = value_of(fault.first_index);
  fault.kind = kind;
  return fault;
}

/// What a counter says about the values of an array.
__device__ inline LabelFault fault_in(const Operand& operand, FaultKind kind, const FaultCounter& counter) {
  return fault_of(kind, counter, [&](int64_t i) { return value_at(operand, i); });
}

/// labels: it holds class indices.
__device__ inline FaultKind target_kind(const Operand& target, bool labels) {
  return labels || target.dtype == DType::uint8 ? FaultKind::label : FaultKind::target;
}

/// What the counters say about the target and the predictions.
__device__ inline LabelFault fault_of(const Inputs& in, const Counters& counters) {
  if (counters.target.faults != 0) return fault_in(in.target, target_kind(in.target, in.labels), counters.target);
  return fault_in(in.predictions, FaultKind::prediction, counters.predictions);
}

/// Every thread gets the totals of all warps, as team_sum() has them. of_warp: those of its own. All threads of the
/// block must call it.
template <Known kKnown>
__device__ GroupTotals block_sum(const LossOptions& options, const GroupTotals& of_warp, FinishShared& shared) {
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  if (lane == 0) shared.of_warp[warp] = of_warp;
  __syncthreads();  // every warp has stored its totals
  GroupTotals total = shared.of_warp[lane % kWarps];
  team_sum<kKnown>(options, total, kWarps);
  return total;
}

/// The blocks share the partial sums. The last block to end does step 2: each of its warps takes every kWarps-th group,
/// and each lane of the warp every kWarp-th class. Numbers that a thread needs again stay in its registers where it has
/// one class of one group: a second read of them takes as long as all the arithmetic.
template <class A, Known kKnown>
__global__ void __launch_bounds__(kThreads, 1) finish_kernel(FinishWork<A> work) {
  constexpr bool kCommonest = kKnown != Known::nothing;
  apply_known<kKnown>(work.options, work.pairs);
  const LossOptions& options = work.options;
  const int64_t N = work.in.samples, C = work.in.classes, groups = work.groups;
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  FinishShared& shared = *shared_memory<FinishShared>();
  if (work.partials) {
    combine_and_collect<kKnown>(work);
    if (!is_last_block(work.notes.ticket, &shared.ticket)) return;
  }

  // Both known losses count all classes of all groups; the mean Dice alone needs no other total.
  constexpr bool needs_totals = kKnown != Known::dice;
  const bool keeps = needs_totals && groups <= kWarps && C <= kWarp;
  // Asked for before it is needed, at the end.
  const bool notes = threadIdx.x == 0 && work.faults && work.partials;
  const Counters noted = notes ? *work.notes.total : Counters{};
  Sums sums = {};
  GroupTotals total = {};
  if (needs_totals) {
    GroupTotals of_warp = {};
    for (int64_t g = warp; g < groups; g += kWarps) {
      GroupTotals group = {};
#pragma unroll(kCommonest ? 4 : 1)
      for (int64_t c = lane; c < C; c += kWarp) {
        const int64_t i = g * C + c;
        if (work.partials && options.pooled) {
          sums = pooled_sums(work, i);
          for (int64_t n = 1; n < N; n++) add(sums, pooled_sums(work, n * C + c));
          work.statistics[i] = sums;
        } else {
          sums = work.statistics[i];
        }
        add_class(options, C, c, sums, group, pair_of(work, sums, i));
      }
      if (kCommonest) {  // which needs the totals of no group
        add_group(options, of_warp, group);
        continue;
      }
      team_sum<kKnown>(options, group, kWarp);
      if (lane == 0) (keeps ? shared.group[warp] : work.group_totals[g]) = group;
      add_group(options, of_warp, group);
    }
    if (kCommonest) team_sum<kKnown>(options, of_warp, kWarp);
    total = block_sum<kKnown>(options, of_warp, shared);
  }
  if (kCommonest) {
    total.counted = static_cast<double>(groups * C);
  } else {
    if (threadIdx.x == 0) shared.total = total;
    __syncthreads();  // thread 0 has stored the total
  }

  const bool none = options.reduction == Reduction::none, per_group = options.value_per_group();
  const double scale = work.scale * factor_at(work.device_scale, 0);
  double reduced = 0;  // of this lane
  for (int64_t g = warp; g < groups; g += kWarps) {
    // Copies would lie in local memory.
    const GroupTotals& group = kCommonest ? total : keeps ? shared.group[warp] : work.group_totals[g];
    const GroupTotals& over = kCommonest ? total : none ? group : shared.total;
    double of_group = 0;
#pragma unroll(kCommonest ? 4 : 1)
    for (int64_t c = lane; c < C; c += kWarp) {
      const int64_t i = g * C + c;
      if (!keeps) sums = work.statistics[i];
      const ClassTerm result = class_term(options, C, c, sums, group, over, pair_of(work, sums, i));
      if (work.per_class) work.per_class[i] = result.loss;
      if (none && !per_group) put_value(options, i, result.overlap, group, work.value, work.parts);
      of_group += result.overlap;
      if (!work.slopes) continue;
      const double factor = scale * factor_at(work.upstream, per_group ? g : i);
      if (!options.pooled || !work.pairs.data) {
        work.slopes[i] = class_slope<A>(work.in, weighted(factor, result.d));
        continue;
      }
      for (int64_t j = i; j < N * C; j += C) {
        work.slopes[j] = class_slope<A>(work.in, weighted(factor * value_at(work.pairs, j), result.d));
      }
    }
    reduced += of_group;
    of_group = warp_sum(of_group);
    if (none && per_group && lane == 0) put_value(options, g, of_group, group, work.value, work.parts);
  }
  reduced = warp_sum(reduced);
  if (lane == 0) shared.reduced[warp] = reduced;
  __syncthreads();  // every warp has stored its part
  if (threadIdx.x != 0) return;
  for (int w = 1; w < kWarps; w++) reduced += shared.reduced[w];
  if (!none) put_value(options, 0, reduced, kCommonest ? total : shared.total, work.value, work.parts);
  if (notes) *work.faults = fault_of(work.in, noted);
}

}  // namespace warpdice::cuda
