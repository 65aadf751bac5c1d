#pragma once
// Many classes, or classes that lie beside each other, [N,S,C]: a tile of a few voxels in all classes is brought to
// shared memory, where every thread can reach every class.
//
// A block has `tiles` consecutive tiles of one sample and adds up a slab of its classes; blocks are numbered
// [N][chunks][slabs]. In a tile
//   normalize         a team of neighbouring lanes shares the classes of kPack voxels, and adds up by shuffles
//   class by class    a thread has a class, so that its sums need no exchange until the block ends
//
// kPack: neighbouring voxels of a class that are read from the tile at once: kTilePack, or 1 where the classes lie
// closer.
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"

namespace warpdice::cuda {

/// Classes that one thread adds up at most: a slab has kSlots * kThreads. The long form has more sums per class.
template <bool kFull>
constexpr int kSlots = kFull ? 1 : 2;

/// 16 bytes, or 8 where registers would run out.
template <class A, bool kFull>
constexpr int kTilePack = sizeof(A) == 8 && kFull ? 1 : 16 / sizeof(A);

struct TileShape {
  int voxels;                      // of a tile, a power of two
  int class_stride, voxel_stride;  // of its logits, in elements
  int team;                        // lanes that share a voxel, a power of two up to kWarp
  bool interleaved;                // [N,S,C]
  int tiles;                       // of a block
  int64_t chunks;                  // blocks of a sample and slab
};

/// What the classes of a voxel share; the first four are read at once.
template <class A>
struct alignas(16) TileVoxel {
  A largest, inverse, weight;
  int klass;
  A log_sum;
};

/// A tile in shared memory: TileVoxel[voxels], then logits; later what replaces them.
template <class P, int kPack, bool kFull>
struct Tile {
  using A = Accumulator<P>;
  static constexpr int kV = kPackOf<P>;
  /// Packs that a thread reads at once: a GPU's memory is fast only with many bytes on their way.
  static constexpr int kBatch = 3;

  const Inputs& in;
  const TileShape& shape;
  TileVoxel<A>* voxels;
  A* z;
  int64_t n, chunk, begin;  // the sample, the block's part of it, and the tile's first voxel
  int count;                // voxels that exist
  int slab, C;

  /// slabs: 1 in step 3, where no thread keeps a class.
  __device__ Tile(const Inputs& in_, const TileShape& shape_, int slabs) : in(in_), shape(shape_) {
    voxels = shared_memory<TileVoxel<A>>();
    z = reinterpret_cast<A*>(voxels + shape.voxels);
    slab = static_cast<int>(blockIdx.x % slabs);
    chunk = blockIdx.x / slabs % shape.chunks;
    n = blockIdx.x / slabs / shape.chunks;
    C = static_cast<int>(in.classes);
  }

  /// Goes to the i-th tile of the block; false when there is none.
  __device__ bool go_to(int i) {
    begin = (chunk * shape.tiles + i) * shape.voxels;
    if (begin >= in.voxels) return false;
    count = static_cast<int>(in.voxels - begin < shape.voxels ? in.voxels - begin : shape.voxels);
    return true;
  }

  /// Where (c, begin + v) lies in arrays like the predictions.
  __device__ int64_t index(int c, int v) const {
    return shape.interleaved ? (n * in.voxels + begin + v) * C + c : (n * C + c) * in.voxels + begin + v;
  }

  /// kV elements that follow each other in memory.
  struct Pack {
    int64_t index;  // of the first one in the predictions
    int left;       // how many there are; none when it is not positive
    A* at;          // its place in z
  };

  /// Packs of the tile, a row of classes or of voxels after the other.
  __device__ int packs_per_class() const { return shape.voxels < kV ? 1 : shape.voxels / kV; }
  __device__ int pack_count() const { return shape.interleaved ? (count * C + kV - 1) / kV : C * packs_per_class(); }

  __device__ Pack pack(int number) const {
    if (shape.interleaved) {
      const int e = number * kV;
      // A voxel's classes are padded only where whole packs fit them.
      const int padding = shape.voxel_stride == C ? 0 : e / C * (shape.voxel_stride - C);
      return {index(0, 0) + e, count * C - e, z + e + padding};
    }
    const int c = number / packs_per_class(), v = number % packs_per_class() * kV;
    return {index(c, v), c < C ? count - v : 0, z + c * shape.class_stride + v};
  }

  /// Device memory to the tile. No thread may still read the tile before.
  __device__ void load_all(Counters* counters) {
    for (int v = threadIdx.x; v < shape.voxels; v += kThreads) {
      Voxels<A, 1> voxel;
      load_voxels<P>(in, n * in.voxels + begin + v, count - v, voxel, slab == 0 ? counters : nullptr);
      voxels[v] = {0, 0, voxel.weight[0], voxel.klass[0], 0};
    }
    const P* predictions = static_cast<const P*>(in.predictions.data);
    // Neighbouring threads have neighbouring packs, and each thread several on their way at once.
    for (int first = threadIdx.x; first < pack_count(); first += kBatch * kThreads) {
      P raw[kBatch][kV];
#pragma unroll
      for (int b = 0; b < kBatch; b++) {
        const Pack it = pack(first + b * kThreads);
        load(predictions + it.index, it.left, raw[b]);
      }
#pragma unroll
      for (int b = 0; b < kBatch; b++) {
        const Pack it = pack(first + b * kThreads);
        A wide[kV];
        for (int j = 0; j < kV; j++) wide[j] = widen(raw[b][j]);
        store(it.at, it.left, wide);
      }
    }
    __syncthreads();  // the tile is there
  }

  /// The tile, with the gradient in place of the logits, to device memory.
  __device__ void store_all(const GradientOut& out) const {
    __syncthreads();  // the gradient is there
    for (int number = threadIdx.x; number < pack_count(); number += kThreads) {
      const Pack it = pack(number);
      A wide[kV];
      load(static_cast<const A*>(it.at), it.left, wide);
      store_gradient<P>(out, it.index, it.left, wide);
    }
  }

  __device__ A* place(int c, int v) const { return z + c * shape.class_stride + v * shape.voxel_stride; }

  __device__ void read(int c, int v, A (&to)[kPack]) const { load(static_cast<const A*>(place(c, v)), kPack, to); }

  /// Calls visit(c, v) for this thread's share of the classes of its team's kPack voxels, from v on. Only lanes of
  /// whole warps have no team: those leave shuffles alone.
  template <class Visit>
  __device__ void for_team(Visit visit) const {
    const int v = threadIdx.x / shape.team * kPack;
    for (int c = threadIdx.x % shape.team; c < C; c += shape.team) visit(c, v);
  }
  __device__ bool has_team() const { return static_cast<int>(threadIdx.x) / shape.team * kPack < shape.voxels; }

  /// Largest logit and sum of exponentials of every voxel.
  __device__ void normalize() {
    if (in.activation == Activation::softmax && has_team()) {
      A largest[kPack], sum[kPack];
      for (int j = 0; j < kPack; j++) largest[j] = -INFINITY, sum[j] = 0;
      for_team([&](int c, int v) {
        A x[kPack];
        read(c, v, x);
        for (int j = 0; j < kPack; j++) largest[j] = fmax(largest[j], x[j]);
      });
      for (int j = 0; j < kPack; j++) largest[j] = team_max(largest[j], shape.team);
      for_team([&](int c, int v) {
        A x[kPack];
        read(c, v, x);
        for (int j = 0; j < kPack; j++) sum[j] += fast_exp(x[j] - largest[j]);
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
    __syncthreads();  // the voxels are complete
  }

  __device__ Point<A> point(const TileVoxel<A>& voxel, A x) const {
    if (in.activation != Activation::softmax) return pointwise<kFull>(in.activation == Activation::sigmoid, x);
    return Softmax<A>{voxel.largest, voxel.inverse, voxel.log_sum}.at(x);
  }

  /// t of class c at voxel v.
  __device__ A target(int c, int v, Counters* counters) const {
    if (in.labels) return voxels[v].klass == c ? 1 : 0;
    Voxels<A, 1> voxel = {{voxels[v].weight}, {-1}};
    A t[1];
    load_target<P>(in, c, index(c, v), count - v, voxel, t, counters);
    return t[0];
  }

  // Sums over classes in double: what the classes of a voxel have in common cancels in the gradient.

  /// sum_j M[c,j]*p_j, the cost of predicting what is predicted where class c is right.
  __device__ A cost(int c, int v) const {
    double sum = 0;
    for (int j = 0; j < C; j++) sum += in.distances[c * in.classes + j] * point(voxels[v], *place(j, v)).p;
    return static_cast<A>(sum);
  }

  /// sum_k dI_k*t_k*M[k,c].
  __device__ A cost_slope(const Slope<A>* slopes, int c, int v) const {
    const auto part = [&](int k, A t) { return in.distances[k * in.classes + c] * (slopes[k].overlap * t); };
    if (in.labels) return voxels[v].klass < 0 ? A(0) : static_cast<A>(part(voxels[v].klass, 1));
    double sum = 0;
    for (int k = 0; k < C; k++) sum += part(k, target(k, v, nullptr));
    return static_cast<A>(sum);
  }
};

/// Voxels per thread that are added in A before they go to double.
constexpr int kChain = 8;

/// Class c of the voxels from v on, as many as are read at once.
template <class P, int kPack, bool kFull>
__device__ void add_voxels(const Tile<P, kPack, kFull>& tile, int c, int v, Terms<Accumulator<P>, kFull>& terms,
                           Counters* counters) {
  using A = Accumulator<P>;
  A x[kPack];
  tile.read(c, v, x);
#pragma unroll
  for (int j = 0; j < kPack; j++) {
    if (v + j >= tile.count) return;
    const TileVoxel<A>& voxel = tile.voxels[v + j];
    const Point<A> at = tile.point(voxel, x[j]);
    if constexpr (kFull) {
      const A t = tile.target(c, v + j, counters);
      const bool costs = tile.in.overlap == Overlap::wasserstein && t != 0 && voxel.weight != 0;
      terms.add(tile.in, voxel.weight, at, t, costs ? tile.cost(c, v + j) : A(0));
    } else {
      terms.add_label(tile.in, voxel.weight, at.p, voxel.klass == c);
    }
  }
}

/// Blocks that a multiprocessor should have room for.
template <class P, bool kFull>
constexpr int kTileBlocks = 3 - (sizeof(P) == 8) - kFull;

/// partials: [N][C][chunks]. Shared memory: a Tile, or Sums[kThreads] where several threads have the same class.
template <class P, int kPack, bool kFull>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P, kFull>)
    tile_statistics_kernel(Inputs in, TileShape shape, int slabs, Sums* partials, Counters* counters) {
  using A = Accumulator<P>;
  Tile<P, kPack, kFull> tile(in, shape, slabs);
  constexpr int kMine = kSlots<kFull>;
  const int begin = tile.slab * kMine * kThreads, left = tile.C - begin;
  const int span = left < kThreads ? left : kThreads, sharers = kThreads / span;
  const int first = begin + threadIdx.x % span, share = threadIdx.x / span;
  Sums sums[kMine] = {};

  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // the tile before has been read
    tile.load_all(counters);
    tile.normalize();
    for (int v = share * kPack; v < tile.count && share < sharers;) {
      Terms<A, kFull> terms[kMine];
      for (int k = 0; k < kChain && v < tile.count; k += kPack, v += sharers * kPack) {
#pragma unroll
        for (int slot = 0; slot < kMine; slot++) {
          const int c = first + slot * kThreads;
          if (c < tile.C) add_voxels(tile, c, v, terms[slot], counters);
        }
      }
#pragma unroll
      for (int slot = 0; slot < kMine; slot++) {
        if (first + slot * kThreads < tile.C) add(sums[slot], terms[slot]);
      }
    }
  }

  const auto write = [&](int c, Sums total) {
    if (!kFull) total.volume = total.target;
    partials[(tile.n * tile.C + c) * shape.chunks + tile.chunk] = total;
  };
  if (sharers == 1) {
    if (share != 0) return;  // beyond the classes, it has the sums of none
#pragma unroll
    for (int slot = 0; slot < kMine; slot++) {
      if (first + slot * kThreads < tile.C) write(first + slot * kThreads, sums[slot]);
    }
    return;
  }
  Sums* shared = shared_memory<Sums>();
  __syncthreads();  // the last tile has been read
  shared[threadIdx.x] = sums[0];
  __syncthreads();  // every thread's sums are there
  if (share != 0) return;
  for (int k = 1; k < sharers; k++) add(sums[0], shared[threadIdx.x + k * span]);
  write(first, sums[0]);
}

/// slopes: [groups, C]. The gradient may lie where the logits do: a tile is read whole before it is written.
template <class P, int kPack, bool kFull>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P, kFull>)
    tile_gradient_kernel(Inputs in, TileShape shape, const Slope<Accumulator<P>>* slopes, bool pooled,
                         GradientOut out) {
  using A = Accumulator<P>;
  Tile<P, kPack, kFull> tile(in, shape, 1);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  if (!pooled) slopes += tile.n * in.classes;

  // dp of class c at voxel v.
  const auto slope_at = [&](int c, int v, const Point<A>& at, A t) {
    if constexpr (!kFull) return slopes[c].at(t, t != 0 ? -at.complement : at.p);
    const bool costs = in.overlap == Overlap::wasserstein && tile.voxels[v].weight != 0;
    return slopes[c].at(in, t, difference(at, t), costs ? tile.cost_slope(slopes, c, v) : A(0));
  };
  const auto target = [&](int c, int v) -> A {
    if constexpr (kFull) return tile.target(c, v, nullptr);
    return tile.voxels[v].klass == c ? 1 : 0;
  };
  // What E, U and F add, under either activation.
  const auto entropy_at = [&](int c, const Point<A>& at, A t) -> A {
    if constexpr (!kFull) return 0;
    if (softmax) return slopes[c].under_softmax(in, at, t);
    return sigmoid ? slopes[c].under_sigmoid(in, at, t, difference(at, t)) : 0;
  };

  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // the tile before has been written
    tile.load_all(nullptr);
    tile.normalize();
    if (tile.has_team()) {
      A mean[kPack] = {};
      if (softmax) {
        tile.for_team([&](int c, int v) {
          A x[kPack];
          tile.read(c, v, x);
#pragma unroll
          for (int j = 0; j < kPack; j++) {
            if (v + j >= tile.count) break;
            const Point<A> at = tile.point(tile.voxels[v + j], x[j]);
            const A t = target(c, v + j);
            mean[j] += at.p * slope_at(c, v + j, at, t) - entropy_at(c, at, t);
          }
        });
        for (int j = 0; j < kPack; j++) mean[j] = team_sum(mean[j], shape.team);
      }
      tile.for_team([&](int c, int v) {
        A x[kPack];
        tile.read(c, v, x);
#pragma unroll
        for (int j = 0; j < kPack; j++) {
          if (v + j >= tile.count) break;
          const A w = tile.voxels[v + j].weight;
          const Point<A> at = tile.point(tile.voxels[v + j], x[j]);
          const A t = target(c, v + j), dp = slope_at(c, v + j, at, t), q = entropy_at(c, at, t);
          const A dz = softmax ? at.p * (dp - mean[j]) - q : sigmoid ? dp * (at.p * at.complement) + q : dp;
          x[j] = w == 0 ? 0 : w * dz;
        }
        store(tile.place(c, v), kPack, x);
      });
    }
    tile.store_all(out);
  }
}

/// dL/dt of a dense target. slopes: [groups, C].
template <class P, int kPack>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P, true>)
    tile_target_gradient_kernel(Inputs in, TileShape shape, const Slope<Accumulator<P>>* slopes, bool pooled,
                                GradientOut out) {
  using A = Accumulator<P>;
  Tile<P, kPack, true> tile(in, shape, 1);
  if (!pooled) slopes += tile.n * in.classes;
  for (int i = 0; i < shape.tiles && tile.go_to(i); i++) {
    __syncthreads();  // the tile before has been written
    tile.load_all(nullptr);
    tile.normalize();
    // Neighbouring threads write what lies beside each other.
    for (int i = threadIdx.x; i < tile.C * shape.voxels; i += kThreads) {
      const int c = shape.interleaved ? i % tile.C : i / shape.voxels;
      const int v = shape.interleaved ? i / tile.C : i % shape.voxels;
      if (v >= tile.count) continue;
      const A w = tile.voxels[v].weight, t = tile.target(c, v, nullptr);
      const bool costs = in.overlap == Overlap::wasserstein && w != 0;
      const Point<A> at = tile.point(tile.voxels[v], *tile.place(c, v));
      const A slope = slopes[c].for_target(in, at, t, costs ? tile.cost(c, v) : A(0));
      store_target_gradient(out, tile.index(c, v), w == 0 ? A(0) : w * slope);
    }
  }
}

}  // namespace warpdice::cuda
