#pragma once
// The commonest calls on a tile of logits: softmax, labels, and the sums I, P, T and E, with weights of voxels or
// without. tile.cuh does the same for every call, in more instructions.
//
// As in the product that made the logits, a thread has kRows classes of kColumns voxels, and holds them in registers.
// What all classes of a voxel share is found in two stages. A warp finds what its threads have of a voxel, by shuffles,
// and puts it into a row of shared memory; then one thread for each voxel adds up the rows.
//
// That thread also does all that belongs to the label's class. For the others that class has the logit -infinity, so
// p = 0: it adds nothing to their sums, and no thread asks of each class whether it is the label.
//
// Exponentials are powers of 2: p = 2^(z*log2(e) - shift) * factor. A row's shift is its largest z times log2(e),
// rounded, so that an exponent is one multiply-add; `factor` leads from there to the largest of all classes. Where that
// rounding is large, from kLarge on, an exponent is (z - largest)*log2(e), and the shift is not rounded.
#include "cuda/kernels/head_tile.cuh"

namespace warpdice::cuda {

/// In shared memory, [softmax_rows][voxels] each.
constexpr int kSoftmaxArrays = 2;

template <class P>
class HeadSoftmax {
  using A = Accumulator<P>;
  static constexpr int kRows = Product<A>::kRows, kColumns = Product<A>::kColumns, kBlock = Product<A>::kBlock;
  static constexpr A kLog2E = static_cast<A>(1.4426950408889634), kLn2 = static_cast<A>(0.6931471805599453);
  /// Below it the rounding of a shift is at most one: a factor of two, which no sum of exponentials notices.
  static constexpr A kLarge = static_cast<A>(sizeof(A) == 4 ? 1 << 24 : int64_t{1} << 53);

 public:
  __device__ explicit HeadSoftmax(const HeadTile<P>& tile_) : tile(tile_), thread(tile_.thread) {
    const int log2 = tile.across_log2(), voxels = tile.shape.tile.voxels;
    across = 1 << log2;
    const int group = thread >> log2, column = thread & (across - 1), groups = tile.shape.padded_classes / kRows;
    first_voxel = column * kColumns;
    works = group < groups;
    const int own_group = works ? group : groups - 1;  // another one's, so that every thread can load
    first_class = own_group * kRows;
    own = tile.z + 2 * own_group * tile.band + column * kBlock;
    const int of_row_log2 = log2 < kWarpLog2 ? kWarpLog2 : log2, row = thread >> of_row_log2;
    rows = tile.shape.softmax_rows;
    warp_works = row < rows;
    largest = tile.x + tile.shape.channels_at_once / kColumns * tile.band;
    factors = largest + rows * voxels;
    own_part = row * voxels + first_voxel;
    whole = tile.count == voxels && !tile.in.weight.data && !tile.in.has_ignore;
  }

  /// What the logits of classes that do not exist are to be.
  static constexpr A kMissing = -INFINITY;

  /// Step 1: adds the tile's sums to those of the block, [C] with `distance` elements from class to class.
  __device__ void add_sums(Sums* to, int64_t distance) {
    make_rows();
    __syncthreads();  // the factors and the labels' probabilities are there
    if (thread >= kThreads - kWarp) add_labels(to, distance);
    if (works) store_predictions();
    __syncthreads();  // the classes' sums are there, and those of the labels added
    A weight = 0;
#pragma unroll 1
    for (int v = 0; v < tile.count && !whole; v++) weight += tile.voxels[v].weight;
    for (int c = thread; c < tile.C; c += kThreads) {
      const A* const parts = tile.z + c / kRows * 2 * tile.band + c % kRows;
      A sum = 0;
#pragma unroll 4
      for (int i = 0; i < across; i++) sum += parts[i * kBlock];
      to[c * distance].prediction += sum;
      to[c * distance].weight += whole ? A(tile.count) : weight;
    }
  }

  /// Step 3: replaces the logits by dL/dz. slopes: [C].
  __device__ void differentiate(const ClassSlope<A>* slopes) {
    make_rows();
    A label_slope = 0, label_entropy = 0;
    const bool labelled = has_voxel() && counts(tile.voxels[thread]);
    if (labelled) {
      const TileVoxel<A> voxel = tile.voxels[thread];
      const ClassSlope<A>& slope = slopes[voxel.class_index];
      label_slope = slope.prediction.at(A(1), voxel.inverse - 1);  // p - 1 is exact
      label_entropy = slope.cross_entropy;
    }
    __syncthreads();    // the factors are there
    A slope[2][kRows];  // of p, and constant
    load_slopes(slopes, slope);
    if (warp_works) make_means(slope);
    __syncthreads();  // every row is complete
    A mean = 0;
    if (has_voxel()) {
      if (labelled) mean = tile.voxels[thread].inverse * label_slope - label_entropy;
#pragma unroll
      for (int r = 0; r < kWarps; r++) {
        if (r < rows) mean += of_voxel(largest, r);
      }
      of_voxel(largest, 0) = mean;
    }
    __syncthreads();  // the means are there
    if (works) store_gradient_of_others(slope);
    __syncthreads();  // the other classes' gradients are stored
    if (!labelled) return;
    const TileVoxel<A> voxel = tile.voxels[thread];
    const A gradient = voxel.inverse * (label_slope - mean) - label_entropy;
    *tile.place(voxel.class_index, thread) = voxel.weight * gradient;
  }

 private:
  /// Makes exponentials of the logits, and the rows' factors; a voxel's `inverse` becomes p of its label, `largest`
  /// -log p. The factors are there after the next barrier.
  __device__ void make_rows() {
    A logit = -INFINITY;
    if (has_voxel()) {
      const TileVoxel<A> voxel = tile.voxels[thread];
      if (counts(voxel)) {
        A& place = *tile.place(voxel.class_index, thread);
        logit = place;
        place = -INFINITY;
      }
    }
    __syncthreads();  // the other threads see no labels
    // All threads load, or nothing would define p where a warp does not work, and p would take registers all the time.
#pragma unroll
    for (int i = 0; i < kRows; i++) load_whole(Product<A>::row(own, tile.band, i), p[i]);
    if (warp_works) make_exponentials();
    __syncthreads();  // every row is complete
    if (has_voxel()) complete_voxel(logit);
  }

  /// Whether a voxel has a label and a weight.
  static __device__ bool counts(const TileVoxel<A>& voxel) { return voxel.class_index >= 0 && voxel.weight != 0; }
  __device__ bool has_voxel() const { return thread < tile.shape.tile.voxels; }
  __device__ A& of_voxel(A* array, int r) const { return array[r * tile.shape.tile.voxels + thread]; }

  /// Replaces each of the numbers by what `combine` makes of those that the warp has of the same voxel, and stores
  /// them.
  template <class Combine>
  __device__ void combine_row(A (&x)[kColumns], A* array, Combine combine) const {
#pragma unroll 1
    for (int distance = across; distance < kWarp; distance *= 2) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) x[j] = combine(x[j], __shfl_xor_sync(kAllLanes, x[j], distance));
    }
    if (across >= kWarp || thread % kWarp < across) store_whole(array + own_part, x);
  }

  /// The shift of a row whose largest logit this is; 0 where it is taken off before.
  static __device__ A shift(A logit) { return fabs(logit) < kLarge ? logit * kLog2E : A(0); }
  /// What is left of that logit's exponent.
  static __device__ A rounding(A logit) { return fabs(logit) < kLarge ? fma(logit, kLog2E, -shift(logit)) : A(0); }

  /// Makes the thread's exponentials, and fills the rows: of the largest logits, and of the sums.
  __device__ void make_exponentials() {
    A top[kColumns], sum[kColumns];
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) top[j] = i == 0 ? p[i][j] : fmax(top[j], p[i][j]);
    }
#pragma unroll
    for (int j = 0; j < kColumns; j++) top[j] = works ? top[j] : -INFINITY;
    combine_row(top, largest, [](A a, A b) { return fmax(a, b); });
    bool large = false;
#pragma unroll
    for (int j = 0; j < kColumns; j++) large |= fabs(top[j]) >= kLarge;
    if (large) take_off(top);
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      const A less = shift(top[j]);
      sum[j] = 0;
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        p[i][j] = fast_exp2(fma(p[i][j], kLog2E, -less));
        sum[j] += p[i][j];
      }
      if (!works) sum[j] = 0;
    }
    combine_row(sum, factors, [](A a, A b) { return a + b; });
  }

  /// Of voxels whose largest logit is large: takes that off the logits. Where no class is possible none has NaN then.
  __device__ void take_off(const A (&top)[kColumns]) {
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      const A less = fabs(top[j]) >= kLarge && top[j] != -INFINITY ? top[j] : A(0);
#pragma unroll
      for (int i = 0; i < kRows; i++) p[i][j] -= less;
    }
  }

  /// Replaces the sums of the thread's voxel by factors. logit: of its label.
  __device__ void complete_voxel(A logit) const {
    A top = logit, share[kWarps];
#pragma unroll
    for (int r = 0; r < kWarps; r++) {
      if (r < rows) top = fmax(top, share[r] = of_voxel(largest, r));
    }
    const A more = rounding(top), of_label = fast_exp2(fma(logit - top, kLog2E, more));
    A total = of_label;
#pragma unroll
    for (int r = 0; r < kWarps; r++) {
      if (r >= rows) continue;
      share[r] = fast_exp2(fma(share[r] - top, kLog2E, more - rounding(share[r])));
      total += share[r] * of_voxel(factors, r);
    }
    const A inverse = fast_reciprocal(total);
#pragma unroll
    for (int r = 0; r < kWarps; r++) {
      if (r < rows) of_voxel(factors, r) = share[r] * inverse;
    }
    TileVoxel<A>& voxel = tile.voxels[thread];
    voxel.inverse = of_label * inverse;
    if (tile.in.cross_entropy) voxel.largest = log(total) + (top - logit - more * kLn2);
  }

  __device__ void load_factors(A (&factor)[kColumns]) const { load_whole(factors + own_part, factor); }

  __device__ A weight(int j) const { return tile.voxels[first_voxel + j].weight; }

  /// The thread's part of P, without what belongs to labels, at the beginning of its block: [kRows].
  __device__ void store_predictions() {
    A factor[kColumns], sum[kRows] = {};
    load_factors(factor);
    const auto add = [&](int j, auto more) {
#pragma unroll
      for (int i = 0; i < kRows; i++) sum[i] += more(p[i][j] * factor[j]);
    };
#pragma unroll
    for (int j = 0; j < kColumns; j++) {
      if (whole && tile.in.squared) {
        add(j, [](A x) { return x * x; });
      } else if (whole) {
        add(j, [](A x) { return x; });
      } else if (weight(j) != 0) {  // what belongs to another voxel may be NaN
        add(j, [&](A x) { return weight(j) * (tile.in.squared ? x * x : x); });
      }
    }
    store_whole(own, sum);
  }

  /// What only the labels' classes have. Lanes of one warp take a voxel each; the first one with a label adds up all of
  /// that label.
  __device__ void add_labels(Sums* to, int64_t distance) const {
    const int lane = thread % kWarp;
    for (int first = 0; first < tile.count; first += kWarp) {
      int label = -1;
      if (first + lane < tile.count && counts(tile.voxels[first + lane])) label = tile.voxels[first + lane].class_index;
      unsigned same = __ballot_sync(kAllLanes, label >= 0);
      for (int bit = 1; bit < tile.C; bit *= 2) {
        const unsigned set = __ballot_sync(kAllLanes, label & bit);
        same &= label & bit ? set : ~set;
      }
      if (label >= 0 && (same & ((1u << lane) - 1)) == 0) {
        A intersection = 0, prediction = 0, target = 0, cross_entropy = 0;
#pragma unroll 1
        while (same != 0) {
          const int other = kWarp - 1 - __clz(same);
          const TileVoxel<A> voxel = tile.voxels[first + other];
          same ^= 1u << other;
          const A share = voxel.weight * voxel.inverse;
          intersection += share;
          prediction += tile.in.squared ? share * voxel.inverse : share;
          target += voxel.weight;
          cross_entropy += voxel.weight * voxel.largest;
        }
        Sums& sums = to[label * distance];
        sums.intersection += intersection;
        sums.prediction += prediction;
        sums.target += target;
        sums.volume += target;
        sums.cross_entropy += cross_entropy;
      }
      __syncwarp();  // the next voxels may have the same labels
    }
  }

  /// Of the thread's classes: what dL/dp of a class that is not the label has for each p, and its constant.
  __device__ void load_slopes(const ClassSlope<A>* slopes, A (&slope)[2][kRows]) const {
    const ClassSlope<A>* const of_group = slopes + first_class;
    if (first_class + kRows <= tile.C) {
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        slope[0][i] = of_group[i].prediction.slope;
        slope[1][i] = of_group[i].prediction.constant;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        const bool exists = first_class + i < tile.C;
        slope[0][i] = exists ? of_group[i].prediction.slope : A(0);
        slope[1][i] = exists ? of_group[i].prediction.constant : A(0);
      }
    }
  }

  /// Replaces the exponentials by probabilities, and fills the rows of sum_c p_c * dL/dp_c without the labels.
  __device__ void make_means(const A (&slope)[2][kRows]) {
    A mean[kColumns] = {}, factor[kColumns];
    load_factors(factor);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) {
        p[i][j] *= factor[j];
        mean[j] += p[i][j] * (slope[0][i] * p[i][j] + slope[1][i]);
      }
    }
#pragma unroll
    for (int j = 0; j < kColumns; j++) mean[j] = works ? mean[j] : A(0);
    combine_row(mean, largest, [](A a, A b) { return a + b; });
  }

  /// Replaces the logits by dL/dz, which is right but for the label.
  __device__ void store_gradient_of_others(const A (&slope)[2][kRows]) {
    A mean[kColumns];
    load_whole(largest + first_voxel, mean);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) p[i][j] *= slope[0][i] * p[i][j] + (slope[1][i] - mean[j]);
    }
    if (!whole) {
      // What belongs to a voxel that does not count may be NaN, which no weight makes 0.
#pragma unroll
      for (int j = 0; j < kColumns; j++) {
        const A w = weight(j);
#pragma unroll
        for (int i = 0; i < kRows; i++) p[i][j] = w == 0 ? A(0) : w * p[i][j];
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; i++) store_whole(Product<A>::row(own, tile.band, i), p[i]);
  }

  const HeadTile<P>& tile;
  const int thread;      // of the block
  A p[kRows][kColumns];  // of the thread: exponentials, then probabilities
  A* own;                // its block of the tile
  A *largest, *factors;  // rows
  int own_part;          // of the thread's row
  int across;            // threads that share a class
  int rows;
  int first_class, first_voxel;
  bool works;       // whether the thread has classes
  bool warp_works;  // in all lanes of a warp, which shuffle together
  bool whole;       // every voxel of the tile exists and has weight 1
};

}  // namespace warpdice::cuda
