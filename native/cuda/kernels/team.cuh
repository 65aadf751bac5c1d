#pragma once
// The kernels that most calls take: those of the sums I, P, T, V and E (native/README.md). The classes of a voxel are
// shared by a team of threads, and each thread holds kC neighbouring classes of kV neighbouring voxels in registers.
// Nothing is read twice.
//
//   few classes      the team is one thread
//   more             neighbouring lanes of a warp: they exchange maxima and sums by shuffles
//   more, or others  so many lanes of each of several warps: the warps exchange through shared memory
//
// A team has 1, 2 or 4 lanes of 1, 3 or 5 warps, or 8 to 32 lanes of 1 to 8 warps, so that one class more never needs
// many more threads.
//
// A block has `chunk` voxels of one sample, which its teams take in rounds. Blocks are numbered [N][chunks]. Options
// stay out of the plain rounds: those of the commonest calls, while each thread has all of its voxels. The kernels have
// two loops, for the plain rounds and for others.
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/shapes.h"
#include "cuda/kernels/team_seat.cuh"

namespace warpdice::cuda {

/// Neighbouring voxels of a thread, in step 1 and in step 3. kFewSums: no more than I, P and T.
template <class P, int kC, bool kFewSums>
constexpr int kStatisticsVoxels = statistics_voxels(sizeof(P), kC, kFewSums);
template <class P, int kC>
constexpr int kGradientVoxels = gradient_voxels(sizeof(P), kC);

/// The blocks that fit a multiprocessor at once, in step 1 and in step 3: one where two would leave a thread too few
/// registers.
template <int kC, bool kDense>
constexpr int kStatisticsBlocks = kDense && kC == 5 ? 1 : 2;
template <int kC, bool kEntropy>
constexpr int kGradientBlocks = kEntropy && kC == 2 ? 1 : 2;

/// What a loop over rounds knows when it is compiled: nothing, that they are plain, or of which layout these are too.
/// Where a layout's rows take several neighbouring registers, a loop for both would move every number.
enum class Rounds { any, plain, plain_first, plain_last };

/// A thread, and the classes and voxels that it holds. kDense: the target is dense; else it is labels.
template <class P, int kC, int kV, bool kDense>
struct Team {
  using A = Accumulator<P>;
  /// What one instruction loads of a voxel's neighbouring classes.
  static constexpr int kRow = kC * sizeof(P) % 16 == 0 ? 16 / sizeof(P) : kC % 4 == 0 ? 4 : kC % 2 == 0 ? 2 : 1;

  const Inputs& in;
  const TeamShape& shape;
  const Seat seat;
  const int first, mine;                // the thread has the classes [first, first + mine)
  bool leads, aligned, target_aligned;  // it is the first of its team; predictions, and a dense target, can be loaded
                                        // in whole rows
  bool plain;                           // labels of one byte, no weights, whole rows
  unsigned n, chunk_index;
  int before;                 // voxels of a round that other threads have before this one
  int round_step;             // from the predictions of one round to those of the next
  int label_base, label_end;  // the label of class `first`; labels from 0 up to the end are valid

  // Of one round:
  int64_t at, voxel;  // where the first prediction and the first label lie
  int rest, count;    // how many voxels of the block are left, and how many of them are the thread's; may be negative
  bool weighted;      // some voxel may have another weight than 1
  A z[kC][kV];        // the logits, then what they become. In place of a class that does not exist, another one is read
  A weight[kV];
  bool valid;                // of labels: each is from 0 up to the end
  int slot[kV];              // which of the thread's classes the label names; none if it is outside [0, mine)
  A t[kDense ? kC : 1][kV];  // a dense target

  __device__ Team(const Inputs& in_, const TeamShape& shape_, unsigned block)
      : Team(in_, shape_, block, Seat(shape_)) {}

  __device__ Team(const Inputs& in_, const TeamShape& shape_, unsigned block, const Seat& seat_)
      : Team(in_, shape_, block, seat_, Share<kC>(in_, shape_, seat_.member)) {}

  __device__ Team(const Inputs& in_, const TeamShape& shape_, unsigned block, const Seat& seat_, const Share<kC>& share)
      : in(in_), shape(shape_), seat(seat_), first(share.first), mine(share.mine) {
    leads = seat.member == 0;
    n = block / static_cast<unsigned>(shape.chunks);
    chunk_index = block % static_cast<unsigned>(shape.chunks);
    aligned = has_whole_rows<P>(in.predictions);
    if constexpr (kDense) {
      target_aligned = in.target.dtype == DType::float32 ? has_whole_rows<float>(in.target)
                       : in.target.dtype == DType::uint8 ? has_whole_rows<uint8_t>(in.target)
                                                         : has_whole_rows<P>(in.target);
    }
    plain = !kDense && in.target.dtype == DType::uint8 && !in.weight.data && !in.has_ignore && aligned &&
            is_aligned<kV>(in.target.data) && in.voxels % kV == 0;
    label_base = kC == 1 ? 1 : first;
    label_end = kC == 1 ? 2 : static_cast<int>(warpdice::label_end(in));

    before = seat.team * kV;
    const int64_t begin = chunk_index * shape.chunk, s = begin + before;
    rest = static_cast<int>(in.voxels - begin < shape.chunk ? in.voxels - begin : shape.chunk);
    voxel = n * in.voxels + s;
    at = n * in.classes * in.voxels + s * voxel_step() + (mine > 0 ? first : 0) * class_step();
    round_step = shape.voxels * static_cast<int>(voxel_step());
  }

  /// How far apart neighbouring classes, and voxels, lie in the predictions.
  __device__ int64_t class_step() const { return shape.interleaved ? 1 : in.voxels; }
  __device__ int64_t voxel_step() const { return shape.interleaved ? in.classes : 1; }

  /// Whether there is a round, or one that can be plain: for all threads of the block, or for none.
  template <bool kPlain>
  __device__ bool has_round() const {
    return kPlain ? rest >= shape.voxels : rest > 0;
  }

  __device__ void to_next_round() {
    rest -= shape.voxels;
    voxel += shape.voxels;
    at += round_step;
  }

  /// Where a prediction lies.
  __device__ int64_t index(int i, int j) const { return at + i * class_step() + j * voxel_step(); }

  /// Whether the classes of a voxel lie beside each other.
  template <Rounds kRounds>
  __device__ bool interleaved() const {
    return kRounds == Rounds::plain_last || (kRounds != Rounds::plain_first && shape.interleaved);
  }

  /// Calls take_rounds(Rounds) for all plain rounds of the block. kApart: each layout has a loop of its own, if it
  /// matters.
  template <bool kApart, class TakeRounds>
  __device__ void for_plain_rounds(TakeRounds take_rounds) const {
    if constexpr (kRow == 1 || !kApart) return take_rounds(std::integral_constant<Rounds, Rounds::plain>{});
    else if (shape.interleaved) take_rounds(std::integral_constant<Rounds, Rounds::plain_last>{});
    else take_rounds(std::integral_constant<Rounds, Rounds::plain_first>{});
  }

  /// Asks for the round's predictions, and its dense target or labels of one byte. kReplaced: a thread may replace its
  /// predictions while another one still asks for them, so that who has no class must ask for none.
  template <Rounds kRounds, bool kReplaced = false>
  __device__ void request() {
    constexpr bool kPlain = kRounds != Rounds::any;
    count = kPlain || rest - before >= kV ? kV : rest - before;
    load_rows<kRounds, kReplaced>(static_cast<const P*>(in.predictions.data), kPlain || aligned, lowest(), raw);
    if constexpr (kPlain) load_whole(static_cast<const uint8_t*>(in.target.data) + voxel, bytes);
    else if constexpr (kDense) load_target();
    else if (in.target.dtype == DType::uint8) {
      cuda::load(static_cast<const uint8_t*>(in.target.data) + voxel, count, bytes);
    }
  }

  /// Instead of request(), when there is no next round. Of halves it takes more instructions than it saves.
  __device__ void request_none() {
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if constexpr (sizeof(P) > 2) forget(raw[i][j]);
        if constexpr (kDense) forget(raw_t[i][j]);
      }
    }
  }

  /// Makes z, weight, and slot or t of what was asked for. notes: null when nobody counts invalid values.
  template <bool kPlain>
  __device__ void take(const Notes* notes) {
    if constexpr (!kPlain) take_weights();
    if constexpr (kPlain) decode<kPlain>(bytes, notes);
    else if constexpr (kDense) take_target();
    else take_labels(notes);
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) z[i][j] = widen(raw[i][j]);
    }
    if (!kPlain && weighted) {
      // What belongs to a voxel that does not count may be NaN, which no weight makes 0.
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if (weight[j] != 0) continue;
#pragma unroll
        for (int i = 0; i < kC; i++) {
          z[i][j] = 0;
          if constexpr (kDense) t[i][j] = 0;
        }
      }
    }
    if constexpr (kDense) check_target(notes);
  }

  /// After take(), of a plain round that has labels beyond the end: they name no class, not even the one after the last
  /// that there is.
  __device__ void forget_invalid_labels() {
#pragma unroll
    for (int j = 0; j < kV; j++) slot[j] = bytes[j] < label_end ? slot[j] : -1;
  }

  /// The largest logit of each voxel. kFew: kFewSharingLanes share the voxels too. All threads of the block must call
  /// it.
  template <bool kFew>
  __device__ void find_largest(A (&largest)[kV]) const {
#pragma unroll
    for (int j = 0; j < kV; j++) {
      largest[j] = z[0][j];
#pragma unroll
      for (int i = 1; i < kC; i++) largest[j] = fmax(largest[j], z[i][j]);
    }
    over_team<kFew>(
        largest, 0, [](A x, A y) { return fmax(x, y); }, [](A x) { return x; });
  }

  /// Replaces the logits by e^(z - largest). sum: theirs, over the thread's classes.
  __device__ void exponentials(const A (&largest)[kV], A (&sum)[kV]) {
#pragma unroll
    for (int j = 0; j < kV; j++) {
#pragma unroll
      for (int i = 0; i < kC; i++) z[i][j] = fast_exp(z[i][j] - largest[j]);
    }
    hide_missing<kC - 1>();
#pragma unroll
    for (int j = 0; j < kV; j++) {
      sum[j] = z[0][j];
#pragma unroll
      for (int i = 1; i < kC; i++) sum[j] += z[i][j];
    }
  }

  /// Replaces x by what `finish` makes of its sum over the team. Calls that follow each other name different parts of
  /// the shared memory: 0, 1 or 2. All threads of the block must call it.
  template <bool kFew, class Finish>
  __device__ void sum_over_team(A (&x)[kV], int part, Finish finish) const {
    over_team<kFew>(
        x, part, [](A y, A z) { return y + z; }, finish);
  }

 private:
  P raw[kC][kV];
  uint8_t bytes[kV];
  A raw_t[kDense ? kC : 1][kV];

  template <class T>
  __device__ bool has_whole_rows(const Operand& operand) const {
    return shape.interleaved
               ? is_aligned<kPieceBytes<T, kRow>>(operand.data) && in.classes % kRow == 0
               : is_aligned<kPieceBytes<T, kV>>(operand.data) && in.voxels * sizeof(T) % kPieceBytes<T, kV> == 0;
  }

  /// Gives the classes that do not exist, the last ones, the exponential 0. Nested, as most threads have none.
  template <int kLast>
  __device__ void hide_missing() {
    if (kLast < mine) return;
#pragma unroll
    for (int j = 0; j < kV; j++) z[kLast][j] = 0;
    if constexpr (kLast > 0) hide_missing<kLast - 1>();
  }

  /// A logit that no other is below.
  __device__ static P lowest() {
    P x;
    narrow(A(-INFINITY), x);
    return x;
  }

  /// Loads the round of an array like the predictions. whole: it can be loaded in whole rows. none: what a thread
  /// without classes gets if kReplaced.
  template <Rounds kRounds, bool kReplaced = false, class T>
  __device__ void load_rows(const T* from, bool whole, T none, T (&to)[kC][kV]) const {
    from += at;
    if (!interleaved<kRounds>() && whole && count >= kV) {
#pragma unroll
      for (int i = 0; i < kC; i++) {
        load_whole(from, to[i]);
        from += i + 2 < kC || mine == kC ? class_step() : 0;  // past the last class, that one once more
      }
    } else if (interleaved<kRounds>() && whole && mine == kC && count >= kV) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
#pragma unroll
        for (int i = 0; i < kC; i += kRow) {
          T row[kRow];
          load_whole(from + j * voxel_step() + i, row);
#pragma unroll
          for (int k = 0; k < kRow; k++) to[i + k][j] = row[k];
        }
      }
    } else if (!kReplaced || mine > 0) {
#pragma unroll
      for (int i = 0; i < kC; i++) {
#pragma unroll
        for (int j = 0; j < kV; j++) {
          const int row = i < mine ? i : mine > 0 ? mine - 1 : 0;
          if (j < count) to[i][j] = from[row * class_step() + j * voxel_step()];
          else to[i][j] = T{};
        }
      }
    } else {
#pragma unroll
      for (int i = 0; i < kC; i++) {
#pragma unroll
        for (int j = 0; j < kV; j++) to[i][j] = none;
      }
    }
  }

  /// The types of operands are those of load_operand().
  __device__ void load_target() {
    if constexpr (!std::is_same_v<P, float>) {
      if (in.target.dtype != DType::float32 && in.target.dtype != DType::uint8) return load_target_as<P>();
    }
    if (in.target.dtype == DType::uint8) load_target_as<uint8_t>();
    else load_target_as<float>();
  }

  template <class T>
  __device__ void load_target_as() {
    T rows[kC][kV];
    load_rows<Rounds::any>(static_cast<const T*>(in.target.data), target_aligned, T{}, rows);
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) raw_t[i][j] = widen(rows[i][j]);
    }
  }

  __device__ void take_target() {
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        t[i][j] = raw_t[i][j];
        // Only a mask of one class can have values to ignore.
        if (kC == 1 && in.has_ignore && t[i][j] == static_cast<A>(in.ignore_index)) weight[j] = 0;
      }
    }
  }

  /// Counts values that are not in [0, 1]; those of voxels that do not count are 0.
  __device__ void check_target(const Notes* notes) const {
    if (!notes) return;
    bool inside = true;
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) inside = inside && !outside_unit(t[i][j]);
    }
    if (inside) return;
#pragma unroll
    for (int i = 0; i < kC; i++) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if (i < mine && outside_unit(t[i][j])) note_fault(notes->own()->target, index(i, j));
      }
    }
  }

  __device__ void take_weights() {
    weighted = in.weight.data || in.has_ignore || count < kV;
#pragma unroll
    for (int j = 0; j < kV; j++) weight[j] = 1;
    if (count < kV) {
#pragma unroll
      for (int j = 0; j < kV; j++) weight[j] = j < count ? 1 : 0;
    }
    if (in.weight.data) load_operand<P>(in.weight, voxel, count, weight);
  }

  __device__ void take_labels(const Notes* notes) {
    if (in.target.dtype == DType::uint8) decode<false>(bytes, notes);
    else if (in.target.dtype == DType::int32) load_and_decode<int32_t>(notes);
    else load_and_decode<int64_t>(notes);
  }

  template <class Label>
  __device__ void load_and_decode(const Notes* notes) {
    Label labels[kV];
    cuda::load(static_cast<const Label*>(in.target.data) + voxel, count, labels);
    decode<false>(labels, notes);
  }

  template <bool kPlain, class Label>
  __device__ void decode(const Label (&labels)[kV], const Notes* notes) {
    valid = true;
#pragma unroll
    for (int j = 0; j < kV; j++) {
      // A label beyond the end names no class that this thread has.
      bool known = labels[j] < label_end;
      if constexpr (sizeof(Label) > 1) known = known && labels[j] >= 0;
      if constexpr (kC == 1 && kPlain) slot[j] = labels[j] == 1 ? 0 : -1;  // the compiler then keeps no slot
      else slot[j] = sizeof(Label) == 1 || known ? static_cast<int>(labels[j]) - label_base : -1;
      valid = valid && known;
    }
    if constexpr (kC == 1 && sizeof(Label) == 1) {  // the same in fewer instructions
      unsigned all = 0;
#pragma unroll
      for (int j = 0; j < kV; j++) all |= labels[j];
      valid = all < 2;
    }
    if (kPlain && (valid || !notes || !leads)) return;
    const LabelRule<Label> rule(in);
    if (!kPlain && in.has_ignore) {
#pragma unroll
      for (int j = 0; j < kV; j++) {
        if (!rule.is_ignored(labels[j])) continue;
        weight[j] = 0;
        slot[j] = -1;
      }
    }
    if (valid || !notes || !leads) return;
    for (int j = 0; j < kV; j++) {
      if (rule.is_fault(labels[j]) && (kPlain || weight[j] != 0)) note_fault(notes->own()->target, voxel + j);
    }
  }

  /// Replaces x by what `finish` makes of what `combine` makes of it and the other threads of the team. All threads of
  /// the block must call it, because teams of several warps wait at a barrier.
  template <bool kFew, class Combine, class Finish>
  __device__ void over_team(A (&x)[kV], int part, Combine combine, Finish finish) const {
    static_assert(kC == 1 || kV <= kMaxTeamVoxels);
    if constexpr (kC > 1) {  // else the team is one thread
      // A number for each voxel of each team in each warp. One barrier is enough: when a part is written again, every
      // warp has passed the barrier of another part.
      A* all = shared_memory<A>() + part * kThreads * kV;
      const int lane = threadIdx.x & (shape.lanes - 1);
      // Asked one by one: what the compiler knows of the lanes saves instructions.
      if (shape.lanes >= kMaxTeamVoxels) return share(x, all, lane, combine, finish);
      if (kFew && kV == kFewSharingLanes && shape.lanes == kFewSharingLanes && shape.warps > 1) {
        all[seat.exchange * kV + lane] = over_lanes<1>(x, combine);
        return gather(finish(over_stored<3, 5>(all, lane, combine)), x);
      }
#pragma unroll
      for (int distance = 1; distance < kMaxTeamVoxels; distance *= 2) {
        if (distance >= shape.lanes) break;
#pragma unroll
        for (int j = 0; j < kV; j++) x[j] = combine(x[j], __shfl_xor_sync(kAllLanes, x[j], distance));
      }
      if (shape.warps > 1) {
        if (lane == 0) store_whole(all + seat.exchange * kV, x);
        __syncthreads();  // every warp has written
        if (anew(shape.warps) == 3) over_warps<3>(all + seat.exchanged * kV, x, combine);
        else over_warps<5>(all + seat.exchanged * kV, x, combine);
      }
    }
#pragma unroll
    for (int j = 0; j < kV; j++) x[j] = finish(x[j]);
  }

  /// over_team() where the lanes share the voxels.
  template <class Combine, class Finish>
  __device__ void share(A (&x)[kV], A* all, int lane, Combine combine, Finish finish) const {
    const A of_one = over_far_lanes(over_lanes<1>(x, combine), combine);
    if (shape.warps == 1) return gather(finish(of_one), x);
    if (lane < kV) all[seat.exchange * kV + lane] = of_one;
    gather(finish(over_stored<5, 3, 7, 2, 4, 8, 6>(all, lane, combine)), x);
  }

  /// x becomes the numbers of all voxels, of which a lane has that of voxel lane % kV.
  __device__ static void gather(A of_one, A (&x)[kV]) {
#pragma unroll
    for (int j = 0; j < kV; j++) x[j] = __shfl_sync(kAllLanes, of_one, j, kV);
  }

  /// What `combine` makes of kHeld neighbouring lanes, for one of the voxels: for the one whose number is lane % kHeld.
  /// At every step two lanes share the voxels, so that each exchanges half as many numbers as at the step before.
  template <int kDistance, int kHeld, class Combine>
  __device__ static A over_lanes(const A (&x)[kHeld], Combine combine) {
    if constexpr (kHeld == 1) {
      return x[0];
    } else {
      const bool odd = threadIdx.x & kDistance;
      A half[kHeld / 2];
#pragma unroll
      for (int k = 0; k < kHeld / 2; k++) {
        const A given = odd ? x[2 * k] : x[2 * k + 1];
        half[k] = combine(odd ? x[2 * k + 1] : x[2 * k], __shfl_xor_sync(kAllLanes, given, kDistance));
      }
      return over_lanes<2 * kDistance>(half, combine);
    }
  }

  /// What `combine` makes of x of the lanes of the team that have the same voxel.
  template <class Combine>
  __device__ A over_far_lanes(A x, Combine combine) const {
#pragma unroll
    for (int distance = kV; distance < kWarp; distance *= 2) {
      if (distance >= shape.lanes) break;
      x = combine(x, __shfl_xor_sync(kAllLanes, x, distance));
    }
    return x;
  }

  /// What `combine` makes of what the warps of the team store, for the voxel whose number is lane % kV. kWarpsOf: how
  /// many warps the team may have, the commonest first.
  template <int... kWarpsOf, class Combine>
  __device__ A over_stored(const A* all, int lane, Combine combine) const {
    __syncthreads();  // every warp has stored
    return over_one_voxel<kWarpsOf...>(all + seat.exchanged * kV + lane % kV, combine);
  }

  /// What `combine` makes of the numbers of the team's warps at of_team, that of the first one, and after it. Each
  /// number of warps is written out: a loop takes more instructions. The last one is not asked for: see `unknown` in
  /// geometry.cc.
  template <int kTeamWarps, int... kOthers, class Combine>
  __device__ A over_one_voxel(const A* of_team, Combine combine) const {
    if constexpr (sizeof...(kOthers) > 0) {
      // For sm_100 nvcc would make a table of addresses of what it knows to depend on one number.
      if (anew(shape.warps) != kTeamWarps) return over_one_voxel<kOthers...>(of_team, combine);
    }
    return over_so_many<kTeamWarps>(of_team, combine);
  }

  /// What `combine` makes of the numbers of so many warps.
  template <int kTeamWarps, class Combine>
  __device__ static A over_so_many(const A* of_team, Combine combine) {
    constexpr int kFirst = kTeamWarps / 2;
    if constexpr (kTeamWarps == 1) {
      return *of_team;
    } else {
      return combine(over_so_many<kFirst>(of_team, combine),
                     over_so_many<kTeamWarps - kFirst>(of_team + kFirst * Seat::kExchangeStride * kV, combine));
    }
  }

  /// x becomes what the numbers of so many warps make.
  template <int kTeamWarps, class Combine>
  __device__ static void over_warps(const A* of_team, A (&x)[kV], Combine combine) {
    load_whole(of_team, x);
#pragma unroll
    for (int w = 1; w < kTeamWarps; w++) {
      A other[kV];
      load_whole(of_team + w * Seat::kExchangeStride * kV, other);
#pragma unroll
      for (int j = 0; j < kV; j++) x[j] = combine(x[j], other[j]);
    }
  }
};

}  // namespace warpdice::cuda
