#pragma once
// For many classes, and for the layout [N,S,C], where the classes of a voxel lie beside each other. A block loads a
// tile, a few voxels in all classes, into shared memory, where every thread can read every class.
//
// A block has `tiles` consecutive tiles of one sample, and adds up one slab of its classes. Blocks are numbered
// [N][chunks][slabs]. The threads share a tile in two ways:
//   normalize()       a team of neighbouring lanes shares the classes of kPack voxels, and adds up by shuffles
//   class by class    a thread has a class of its own, so that threads exchange no sums until the block ends
//
// kPack: the neighbouring voxels of a class that a thread reads from the tile at once: kTilePack, or 1 where the
// classes of a voxel lie closer to each other than its neighbours.
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

/// Rows of voxels, or rows of classes.
struct TileRows {
  static __device__ int place(const TileShape& shape, int c, int v) {
    return c * shape.class_stride + v * shape.voxel_stride;
  }
};

/// A tile in shared memory: TileVoxel[voxels], then the logits, which step 3 replaces by the gradient. Layout: where
/// each logit lies.
template <class P, int kPack, class Layout = TileRows>
struct Tile {
  using A = Accumulator<P>;
  static constexpr int kV = kPackOf<P>;
  /// The packs that a thread loads at once: a GPU's memory is fast only with many loads in flight.
  static constexpr int kBatch = 3;

  const Inputs& in;
  const TileShape& shape;
  TileVoxel<A>* voxels;
  A* z;
  int64_t n, chunk, begin;  // the sample, the block's part of it, and the tile's first voxel
  int count;                // how many of the tile's voxels exist
  int slab, C;

  /// slabs: 1 in step 3, where a thread keeps no sums of a class.
  __device__ Tile(const Inputs& in_, const TileShape& shape_, int slabs) : in(in_), shape(shape_) {
    voxels = shared_memory<TileVoxel<A>>();
    z = reinterpret_cast<A*>(voxels + shape.voxels);
    slab = static_cast<int>(blockIdx.x % slabs);
    chunk = blockIdx.x / slabs % shape.chunks;
    n = blockIdx.x / slabs / shape.chunks;
    C = static_cast<int>(in.classes);
  }

  /// Goes to the i-th tile of the block. Returns false when there is none.
  __device__ bool go_to(int i) {
    begin = (chunk * shape.tiles + i) * shape.voxels;
    if (begin >= in.voxels) return false;
    count = static_cast<int>(in.voxels - begin < shape.voxels ? in.voxels - begin : shape.voxels);
    return true;
  }

  /// Where class c of voxel begin + v lies in the predictions and in arrays like them.
  __device__ int64_t index(int c, int v) const {
    return shape.interleaved ? (n * in.voxels + begin + v) * C + c : (n * C + c) * in.voxels + begin + v;
  }

  /// kV elements that follow each other in memory.
  struct Pack {
    int64_t index;  // of the first one in the predictions
    int left;       // how many exist; none when it is not positive
    A* place;       // of the first one in z
  };

  /// The packs of a tile follow each other as in memory: rows of classes in [N,S,C], else rows of voxels.
  __device__ int packs_per_class() const { return shape.voxels < kV ? 1 : shape.voxels / kV; }
  __device__ int pack_count() const { return shape.interleaved ? (count * C + kV - 1) / kV : C * packs_per_class(); }

  __device__ Pack pack(int number) const {
    if (shape.interleaved) {
      const int e = number * kV;
      // There is padding after a voxel's classes only where they fill whole packs.
      const int padding = shape.voxel_stride == C ? 0 : e / C * (shape.voxel_stride - C);
      return {index(0, 0) + e, count * C - e, z + e + padding};
    }
    const int c = number / packs_per_class(), v = number % packs_per_class() * kV;
    return {index(c, v), c < C ? count - v : 0, z + c * shape.class_stride + v};
  }

  /// Loads what belongs to the voxels from device memory.
  __device__ void load_voxels_of_tile(Counters* counters) {
    for (int v = threadIdx.x; v < shape.voxels; v += kThreads) {
      Voxels<A, 1> voxel;
      Counters* noted = slab == 0 ? counters : nullptr;
      load_voxels<P, true>(in, n * in.voxels + begin + v, count - v, voxel, noted);
      A mark[1];  // a dense mask of one class marks the voxels to ignore
      if (!in.labels && in.has_ignore) load_target<P>(in, 0, index(0, v), count - v, voxel, mark, nullptr);
      voxels[v] = {0, 0, voxel.weight[0], voxel.class_index[0], 0};
    }
  }

  /// Loads the tile from device memory. No thread may still read the tile before it.
  __device__ void load_all(Counters* counters) {
    load_voxels_of_tile(counters);
    const P* predictions = static_cast<const P*>(in.predictions.data);
    // Neighbouring threads load neighbouring packs, and each thread loads several at once.
    for (int first = threadIdx.x; first < pack_count(); first += kBatch * kThreads) {
      P raw[kBatch][kV];
#pragma unroll
      for (int b = 0; b < kBatch; b++) {
        const Pack piece = pack(first + b * kThreads);
        load(predictions + piece.index, piece.left, raw[b]);
      }
#pragma unroll
      for (int b = 0; b < kBatch; b++) {
        const Pack piece = pack(first + b * kThreads);
        A wide[kV];
        for (int j = 0; j < kV; j++) wide[j] = widen(raw[b][j]);
        store(piece.place, piece.left, wide);
      }
    }
    __syncthreads();  // the whole tile is loaded
  }

  /// Stores the tile, where the gradient has replaced the logits, to device memory.
  __device__ void store_all(const GradientOut& out) const {
    __syncthreads();  // the whole gradient is computed
    for (int number = threadIdx.x; number < pack_count(); number += kThreads) {
      const Pack piece = pack(number);
      A wide[kV];
      load(static_cast<const A*>(piece.place), piece.left, wide);
      store_gradient<P>(out, piece.index, piece.left, wide);
    }
  }

  __device__ A* place(int c, int v) const { return z + Layout::place(shape, c, v); }

  __device__ void read(int c, int v, A (&to)[kPack]) const { load(static_cast<const A*>(place(c, v)), kPack, to); }

  /// Calls visit(c, v) for this thread's share of the classes of its team's kPack voxels, from v on. Where a lane has
  /// no team, none of its warp has one: such a warp skips the shuffles.
  template <class Visit>
  __device__ void for_team(Visit visit) const {
    const int v = threadIdx.x / shape.team * kPack;
    for (int c = threadIdx.x % shape.team; c < C; c += shape.team) visit(c, v);
  }
  __device__ bool has_team() const { return static_cast<int>(threadIdx.x) / shape.team * kPack < shape.voxels; }

  /// Finds the largest logit and the sum of the exponentials of every voxel.
  __device__ void normalize() {
    if (in.activation == Activation::softmax && has_team()) {
      A largest[kPack], sum[kPack];
      for (int j = 0; j < kPack; j++) {
        largest[j] = -INFINITY;
        sum[j] = 0;
      }
      for_team([&](int c, int v) {
        A values[kPack];
        read(c, v, values);
        for (int j = 0; j < kPack; j++) largest[j] = fmax(largest[j], values[j]);
      });
      for (int j = 0; j < kPack; j++) largest[j] = team_max(largest[j], shape.team);
      for_team([&](int c, int v) {
        A values[kPack];
        read(c, v, values);
        for (int j = 0; j < kPack; j++) sum[j] += fast_exp(values[j] - largest[j]);
      });
      for (int j = 0; j < kPack; j++) {
        sum[j] = team_sum(sum[j], shape.team);
        if (threadIdx.x % shape.team != 0) continue;
        TileVoxel<A>& voxel = voxels[threadIdx.x / shape.team * kPack + j];
        voxel.largest = largest[j];
        voxel.inverse = 1 / sum[j];
        voxel.log_sum = log(sum[j]);
      }
    }
    __syncthreads();  // every voxel is complete
  }

  __device__ Probability<A> probability(const TileVoxel<A>& voxel, A logit) const {
    if (in.activation != Activation::softmax) return pointwise<true>(in.activation == Activation::sigmoid, logit);
    return Softmax<A>{voxel.largest, voxel.inverse, voxel.log_sum}.at(logit);
  }

  /// The weight of class c at voxel v.
  __device__ A weight(int c, int v) const {
    if (!has_own_weights() || voxels[v].weight == 0) return voxels[v].weight;
    A own[1];
    load_operand<P>(in.class_weight, index(c, v), count - v, own);
    return own[0];
  }

  /// Whether each class has weights of its own.
  __device__ bool has_own_weights() const { return in.class_weight.data; }

  /// x times the class's own weight; 0 where that is 0. x where the classes share the voxel's weight.
  __device__ A own_share(int c, int v, A x) const {
    if (!has_own_weights()) return x;
    const A w = weight(c, v);
    return w == 0 ? 0 : w * x;
  }

  /// t of class c at voxel v.
  __device__ A target(int c, int v, Counters* counters) const {
    if (in.labels) return voxels[v].class_index == c ? 1 : 0;
    Voxels<A, 1> voxel = {{counters ? weight(c, v) : A(1)}, {-1}};
    A t[1];
    load_target<P>(in, c, index(c, v), count - v, voxel, t, counters);
    return t[0];
  }

  // These sums over classes are in double: in the gradient, what the classes of a voxel have in common cancels.

  /// sum_j M[c,j]*p_j: what the predictions of voxel v cost where class c is right.
  __device__ A cost(int c, int v) const {
    double sum = 0;
    for (int j = 0; j < C; j++) sum += in.distances[c * in.classes + j] * probability(voxels[v], *place(j, v)).p;
    return static_cast<A>(sum);
  }

  /// sum_k dI_k*t_k*M[k,c], with the weights of the classes k.
  __device__ A cost_slope(const ClassSlope<A>* slopes, int c, int v) const {
    const auto part = [&](int k, A t) {
      return in.distances[k * in.classes + c] * (slopes[k].overlap * own_share(k, v, t));
    };
    if (in.labels) return voxels[v].class_index < 0 ? A(0) : static_cast<A>(part(voxels[v].class_index, 1));
    double sum = 0;
    for (int k = 0; k < C; k++) sum += part(k, target(k, v, nullptr));
    return static_cast<A>(sum);
  }
};

/// The voxels of one thread that are added up in A before the sum goes to double.
constexpr int kChain = 8;

/// Adds class c of the kPack voxels from v on.
template <class P, int kPack, class Layout>
__device__ void add_voxels(const Tile<P, kPack, Layout>& tile, int c, int v, VoxelSums<Accumulator<P>>& few,
                           Counters* counters) {
  using A = Accumulator<P>;
  A values[kPack];
  tile.read(c, v, values);
#pragma unroll
  for (int j = 0; j < kPack; j++) {
    if (v + j >= tile.count) return;
    const Probability<A> x = tile.probability(tile.voxels[v + j], values[j]);
    const A w = tile.weight(c, v + j);
    check_probability(tile.in, w, values[j], tile.index(c, v + j), counters);
    const A t = tile.target(c, v + j, counters);
    const bool costs = tile.in.overlap == Overlap::wasserstein && t != 0 && w != 0;
    few.add(tile.in, w, x, t, costs ? tile.cost(c, v + j) : A(0), term_factors<A>(tile.in, c));
  }
}

/// Adds class c of the voxels of one of the threads that share the class.
template <class P, int kPack, class Layout>
__device__ void add_share(const Tile<P, kPack, Layout>& tile, int c, int share, int sharers, Sums& sum,
                          Counters* counters) {
  for (int v = share * kPack; v < tile.count;) {
    VoxelSums<Accumulator<P>> few;
    for (int k = 0; k < kChain && v < tile.count; k += kPack, v += sharers * kPack) {
      add_voxels(tile, c, v, few, counters);
    }
    add(sum, few);
  }
}

/// The blocks that fit a multiprocessor at once.
template <class P>
constexpr int kTileBlocks = sizeof(P) == 8 ? 1 : 2;

/// partials: [N][C][chunks]. Shared memory: a Tile, then Sums[kThreads] in its place where threads share a class.
template <class P, int kPack>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    tile_statistics_kernel(Inputs in, TileShape shape, int slabs, Sums* partials, Notes notes) {
  notes.begin();
  Counters* counters = notes.own();
  Tile<P, kPack> tile(in, shape, slabs);
  const int begin = tile.slab * kThreads, left = tile.C - begin;
  const int span = left < kThreads ? left : kThreads, sharers = kThreads / span;
  const int first = begin + threadIdx.x % span, share = threadIdx.x / span;
  Sums sum = {};

  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.load_all(counters);
    tile.normalize();
    if (first < tile.C && share < sharers) add_share(tile, first, share, sharers, sum, counters);
  }

  const auto write = [&] { partials[(tile.n * tile.C + first) * shape.chunks + tile.chunk] = sum; };
  if (sharers == 1) {
    if (share == 0 && first < tile.C) write();  // else this thread has no class
    return;
  }
  Sums* shared = shared_memory<Sums>();
  __syncthreads();  // every thread has read the last tile
  shared[threadIdx.x] = sum;
  __syncthreads();  // every thread has stored its sums
  if (share != 0) return;
  for (int k = 1; k < sharers; k++) add(sum, shared[threadIdx.x + k * span]);
  write();
}

/// Replaces the logits of a tile that is normalized by the gradient; of voxels of weight 0, as those that do not exist
/// are, by 0. slopes: [C].
template <class P, int kPack, class Layout>
__device__ void differentiate(const Tile<P, kPack, Layout>& tile, const ClassSlope<Accumulator<P>>* slopes) {
  using A = Accumulator<P>;
  const Inputs& in = tile.in;
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  // dL/dp of class c at voxel v. A voxel's weight is multiplied in at the end, those of its classes here.
  const auto slope_at = [&](int c, int v, const Probability<A>& x, A t) {
    const A own = tile.own_share(c, v, slopes[c].at(in, t, difference(x, t), A(0)));
    if (in.overlap != Overlap::wasserstein || tile.voxels[v].weight == 0) return own;
    return own + tile.cost_slope(slopes, c, v);
  };
  // What E, U and F add, under either activation.
  const auto entropy_at = [&](int c, int v, const Probability<A>& x, A t) -> A {
    const TermFactors<A> of = term_factors<A>(in, c);
    if (softmax) return tile.own_share(c, v, slopes[c].under_softmax(in, x, t, of));
    return sigmoid ? tile.own_share(c, v, slopes[c].under_sigmoid(in, x, t, difference(x, t), of)) : 0;
  };
  if (!tile.has_team()) return;
  A mean[kPack] = {};
  if (softmax) {
    tile.for_team([&](int c, int v) {
      A values[kPack];
      tile.read(c, v, values);
#pragma unroll
      for (int j = 0; j < kPack; j++) {
        if (v + j >= tile.count) break;
        const Probability<A> x = tile.probability(tile.voxels[v + j], values[j]);
        const A t = tile.target(c, v + j, nullptr);
        mean[j] += x.p * slope_at(c, v + j, x, t) - entropy_at(c, v + j, x, t);
      }
    });
    for (int j = 0; j < kPack; j++) mean[j] = team_sum(mean[j], tile.shape.team);
  }
  tile.for_team([&](int c, int v) {
    A values[kPack];
    tile.read(c, v, values);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      A w = tile.voxels[v + j].weight;
      if (w == 0) {
        values[j] = 0;
        continue;
      }
      if (tile.has_own_weights() && !in.mixes_classes() && tile.weight(c, v + j) == 0) w = 0;
      const Probability<A> x = tile.probability(tile.voxels[v + j], values[j]);
      const A t = tile.target(c, v + j, nullptr), dp = slope_at(c, v + j, x, t), q = entropy_at(c, v + j, x, t);
      const A dz = softmax ? x.p * (dp - mean[j]) - q : sigmoid ? dp * (x.p * x.complement) + q : dp;
      values[j] = w == 0 ? 0 : w * dz;
    }
    store(tile.place(c, v), kPack, values);
  });
}

/// slopes: [groups, C]. A block reads a tile whole before it writes, so the gradient may replace the logits.
template <class P, int kPack>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    tile_gradient_kernel(Inputs in, TileShape shape, const ClassSlope<Accumulator<P>>* slopes, bool pooled,
                         GradientOut out) {
  Tile<P, kPack> tile(in, shape, 1);
  if (!pooled) slopes += tile.n * in.classes;
  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has stored the tile before
    tile.load_all(nullptr);
    tile.normalize();
    differentiate(tile, slopes);
    tile.store_all(out);
  }
}

/// Writes dL/dt of a tile that is normalized. slopes: [C].
template <class P, int kPack, class Layout>
__device__ void store_target_gradient(const Tile<P, kPack, Layout>& tile, const ClassSlope<Accumulator<P>>* slopes,
                                      const GradientOut& out) {
  using A = Accumulator<P>;
  const Inputs& in = tile.in;
  // Neighbouring threads write neighbouring elements.
  for (int i = threadIdx.x; i < tile.C * tile.shape.voxels; i += kThreads) {
    const int c = tile.shape.interleaved ? i % tile.C : i / tile.shape.voxels;
    const int v = tile.shape.interleaved ? i / tile.C : i % tile.shape.voxels;
    if (v >= tile.count) continue;
    const A w = tile.weight(c, v), t = tile.target(c, v, nullptr);
    const bool costs = in.overlap == Overlap::wasserstein && w != 0;
    const Probability<A> x = tile.probability(tile.voxels[v], *tile.place(c, v));
    const A slope = slopes[c].for_target(in, x, t, costs ? tile.cost(c, v) : A(0), term_factors<A>(in, c));
    store_element(out, tile.index(c, v), w == 0 ? A(0) : w * slope);
  }
}

/// dL/dt of a dense target. slopes: [groups, C].
template <class P, int kPack>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    tile_target_gradient_kernel(Inputs in, TileShape shape, const ClassSlope<Accumulator<P>>* slopes, bool pooled,
                                GradientOut out) {
  Tile<P, kPack> tile(in, shape, 1);
  if (!pooled) slopes += tile.n * in.classes;
  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.load_all(nullptr);
    tile.normalize();
    store_target_gradient(tile, slopes, out);
  }
}

}  // namespace warpdice::cuda
