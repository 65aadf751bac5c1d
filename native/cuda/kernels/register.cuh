#pragma once
// Few classes whose voxels lie beside each other, [N,C,S]: a thread holds all classes of a few voxels in registers.
//
//   softmax          up to kC classes
//   none, sigmoid    any number: each slab of kC classes is a matter of its own
//
// A block has `chunk` voxels of one sample and slab; blocks are numbered [N][slabs][chunks].
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"

namespace warpdice::cuda {

/// The most classes of a slab. Beyond it registers run out: the long form has more sums per class.
template <bool kFull>
constexpr int kMostInRegisters = kFull ? 4 : 8;

/// Voxels of a thread at most. The fullest registers have no room for sums in double, and A adds up only so many.
constexpr int kMostVoxels(bool fullest) { return fullest ? 16 : 64; }

struct RegisterShape {
  int64_t chunk, chunks;  // chunk: at most kMostVoxels * kThreads
  int slabs;
};

/// Where a block works: voxels [begin, end) of sample n, classes [first, first + classes).
template <int kC>
struct RegisterBlock {
  int64_t n, begin, end;
  int first, classes;
  int64_t chunk_index;

  __device__ RegisterBlock(const Inputs& in, const RegisterShape& shape) {
    chunk_index = blockIdx.x % shape.chunks;
    const int64_t row = blockIdx.x / shape.chunks;
    n = row / shape.slabs;
    first = static_cast<int>(row % shape.slabs) * kC;
    classes = static_cast<int>(in.classes) - first < kC ? static_cast<int>(in.classes) - first : kC;
    begin = chunk_index * shape.chunk;
    end = begin + shape.chunk < in.voxels ? begin + shape.chunk : in.voxels;
  }
};

/// Neighbouring voxels that a thread reads at once: 16 bytes of each class, or 8 where registers would run out.
template <class P, int kC, bool kFull>
constexpr int kHeldVoxels = kPackOf<P> / ((kFull && kC > 1) || (sizeof(P) == 2 && kC > 4) ? 2 : 1);

/// What a thread holds: kVoxels neighbouring voxels from s on, in all classes of the slab.
template <class P, int kC, bool kFull>
struct Held {
  static constexpr int kVoxels = kHeldVoxels<P, kC, kFull>;
  /// What is widened and computed at once: fewer where registers would run out.
  static constexpr int kPart = kC > 4 || (kFull && sizeof(P) == 2 && kC == 2) ? 2 : kVoxels < 4 ? kVoxels : 4;
  using A = Accumulator<P>;

  int64_t count;  // voxels that exist
  P z[kC][kVoxels];
  Voxels<A, kVoxels> voxels;

  __device__ void load_from(const Inputs& in, const RegisterBlock<kC>& block, int64_t s, Counters* counters) {
    count = block.end - s;
    const P* predictions = static_cast<const P*>(in.predictions.data);
    load_voxels<P>(in, block.n * in.voxels + s, count, voxels, block.first == 0 ? counters : nullptr);
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c < block.classes) load(predictions + index(in, block, c, s), count, z[c]);
    }
  }

  /// Of class block.first + c at voxel s.
  __device__ static int64_t index(const Inputs& in, const RegisterBlock<kC>& block, int c, int64_t s) {
    return (block.n * in.classes + block.first + c) * in.voxels + s;
  }

  /// What the classes of voxel j share.
  __device__ Softmax<A> normalize(int classes, int j) const {
    Softmax<A> shared = {-INFINITY, 0, 0};
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c < classes) shared.largest = fmax(shared.largest, widen(z[c][j]));
    }
    A sum = 0;
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c < classes) sum += fast_exp(widen(z[c][j]) - shared.largest);
    }
    shared.inverse = 1 / sum;
    shared.log_sum = log(sum);
    return shared;
  }
};

/// Blocks that a multiprocessor should have room for; doubles take twice the registers.
template <class P>
constexpr int kRegisterBlocks = sizeof(P) == 8 ? 1 : 2;

/// partials: [N][C][chunks]. Shared memory: Sums[kWarps][kC].
template <class P, int kC, bool kFull>
__global__ void __launch_bounds__(kThreads, kRegisterBlocks<P>)
    register_statistics_kernel(Inputs in, RegisterShape shape, Sums* partials, Counters* counters) {
  using A = Accumulator<P>;
  using Hold = Held<P, kC, kFull>;
  constexpr int kV = Hold::kVoxels, kPart = Hold::kPart, kStride = kThreads * kV;
  constexpr int kHolds = kFull ? 1 : 16 / (kC * kV) > 1 ? 16 / (kC * kV) : 1;  // loads on their way at once
  const RegisterBlock<kC> block(in, shape);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  constexpr bool kFullest = kC == kMostInRegisters<kFull>;
  std::conditional_t<kFullest, Terms<A, kFull>, Sums> sums[kC] = {};

  for (int64_t s = block.begin + threadIdx.x * kV; s < block.end; s += kHolds * kStride) {
    Hold held[kHolds];
#pragma unroll
    for (int h = 0; h < kHolds; h++) held[h].load_from(in, block, s + h * kStride, counters);
#pragma unroll
    for (int h = 0; h < kHolds; h++) {
      Hold& it = held[h];
#pragma unroll
      for (int part = 0; part < kV; part += kPart) {
        Softmax<A> shared[kPart];
#pragma unroll
        for (int j = 0; j < kPart; j++) {
          shared[j] = softmax ? it.normalize(block.classes, part + j) : Softmax<A>{};
        }
#pragma unroll
        for (int c = 0; c < kC; c++) {
          if (c >= block.classes) continue;
          Voxels<A, kPart> voxels = it.voxels.template part<kPart>(part);
          A t[kPart];
          if constexpr (kFull) {
            const int64_t i = Hold::index(in, block, c, s + h * kStride + part);
            load_target<P>(in, block.first + c, i, it.count - part, voxels, t, counters);
          }
          Terms<A, kFull> terms;
#pragma unroll
          for (int j = 0; j < kPart; j++) {
            const A z = widen(it.z[c][part + j]), w = voxels.weight[j];
            const Point<A> at = softmax ? shared[j].at(z) : pointwise<kFull>(sigmoid, z);
            if constexpr (kFull) terms.add(in, w, at, t[j], 0);
            else terms.add_label(in, w, at.p, voxels.klass[j] == block.first + c);
          }
          add(sums[c], terms);
        }
      }
    }
  }

  Sums* shared = shared_memory<Sums>();
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const double weight = warp_sum(double{sums[0].weight});
#pragma unroll
  for (int c = 0; c < kC; c++) {
    Sums total = {};
    if constexpr (kFullest) add(total, sums[c]);
    else total = sums[c];
    warp_sum<kFull>(total);
    total.weight = weight;
    if (lane == 0) shared[warp * kC + c] = total;
  }
  __syncthreads();  // every warp's sums are there
  const int c = threadIdx.x;
  if (c >= block.classes) return;
  Sums total = shared[c];
  for (int w = 1; w < kWarps; w++) add(total, shared[w * kC + c]);
  partials[(block.n * in.classes + block.first + c) * shape.chunks + block.chunk_index] = total;
}

/// slopes: [groups, C]. A thread has read all classes of its voxels before it writes: the gradient may lie where the
/// logits do.
template <class P, int kC, bool kFull>
__global__ void __launch_bounds__(kThreads, kRegisterBlocks<P>)
    register_gradient_kernel(Inputs in, RegisterShape shape, const Slope<Accumulator<P>>* slopes, bool pooled,
                             GradientOut out) {
  using A = Accumulator<P>;
  using Hold = Held<P, kC, kFull>;
  constexpr int kV = Hold::kVoxels;
  const RegisterBlock<kC> block(in, shape);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  slopes += (pooled ? 0 : block.n * in.classes) + block.first;

  for (int64_t s = block.begin + threadIdx.x * kV; s < block.end; s += kThreads * kV) {
    Hold it;
    it.load_from(in, block, s, nullptr);
    A t[kFull ? kC : 1][kV], g[kC][kV];
    if constexpr (kFull) {
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        load_target<P>(in, block.first + c, Hold::index(in, block, c, s), it.count, it.voxels, t[c], nullptr);
      }
    }
#pragma unroll
    for (int j = 0; j < kV; j++) {
      const Softmax<A> shared = softmax ? it.normalize(block.classes, j) : Softmax<A>{};
      const A w = it.voxels.weight[j];
      A mean = 0;
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        const A z = widen(it.z[c][j]);
        const Slope<A>& slope = *(kC > 4 ? read_again(slopes + c) : slopes + c);
        const Point<A> at = softmax ? shared.at(z) : pointwise<kFull>(sigmoid, z);
        A tc, dp;
        if constexpr (kFull) {
          tc = t[c][j];
          dp = slope.at(in, tc, difference(at, tc), A(0));
        } else {
          const bool hit = it.voxels.klass[j] == block.first + c;
          tc = hit ? 1 : 0;
          dp = slope.at(tc, hit ? -at.complement : at.p);
        }
        if (softmax) {
          mean += at.p * dp;
          A q = 0;
          if constexpr (kFull) q = slope.under_softmax(in, at, tc);
          if constexpr (kFull) mean -= q;
          g[c][j] = dp;
        } else {
          A dz = sigmoid ? dp * (at.p * at.complement) : dp;
          if constexpr (kFull) {
            if (sigmoid) dz += slope.under_sigmoid(in, at, tc, difference(at, tc));
          }
          g[c][j] = w == 0 ? 0 : w * dz;
        }
      }
      if (!softmax) continue;
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        const Point<A> at = shared.at(widen(it.z[c][j]));
        A dz = at.p * (g[c][j] - mean);
        if constexpr (kFull) dz -= slopes[c].under_softmax(in, at, t[c][j]);
        g[c][j] = w == 0 ? 0 : w * dz;
      }
    }
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c < block.classes) store_gradient<P>(out, Hold::index(in, block, c, s), it.count, g[c]);
    }
  }
}

}  // namespace warpdice::cuda
