#pragma once
// For few classes in the layout [N,C,S], where the voxels of a class lie beside each other. A thread holds all classes
// of a few voxels in registers.
//
//   softmax          at most kC classes
//   none, sigmoid    any number of classes: blocks take slabs of kC classes, which have nothing to do with each other
//
// A block has `chunk` voxels of one sample and slab. Blocks are numbered [N][slabs][chunks].
#include "cuda/kernels/formula.cuh"
#include "cuda/kernels/reduce.cuh"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

/// What a block works on: voxels [begin, end) of sample n, in the classes [first, first + classes).
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

/// Neighbouring voxels that a thread reads at once: 16 bytes of each class, or 8 where it would run out of registers.
template <class P, int kC>
constexpr int kHeldVoxels = kPackOf<P> / (kC > 1 ? 2 : 1);

/// What a thread holds in registers: kVoxels neighbouring voxels from s on, in all classes of the slab.
template <class P, int kC>
struct Held {
  static constexpr int kVoxels = kHeldVoxels<P, kC>;
  /// The voxels that a thread widens and computes at once: fewer where it would run out of registers.
  static constexpr int kPart = sizeof(P) == 2 && kC == 2 ? 2 : kVoxels < 4 ? kVoxels : 4;
  using A = Accumulator<P>;

  int64_t count;  // how many of the voxels exist
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

  /// Where class block.first + c of voxel s lies in the predictions.
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

/// The blocks that fit a multiprocessor at once. Doubles take twice the registers.
template <class P>
constexpr int kRegisterBlocks = sizeof(P) == 8 ? 1 : 2;

/// partials: [N][C][chunks]. Shared memory: Sums[kWarps][kC].
template <class P, int kC>
__global__ void __launch_bounds__(kThreads, kRegisterBlocks<P>)
    register_statistics_kernel(Inputs in, RegisterShape shape, Sums* partials, Notes notes) {
  using A = Accumulator<P>;
  notes.begin();
  Counters* counters = notes.own();
  using Hold = Held<P, kC>;
  constexpr int kV = Hold::kVoxels, kPart = Hold::kPart;
  const RegisterBlock<kC> block(in, shape);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  constexpr bool kFullest = kC == kMaxInRegisters;
  std::conditional_t<kFullest, VoxelSums<A>, Sums> sums[kC] = {};

  for (int64_t s = block.begin + threadIdx.x * kV; s < block.end; s += kThreads * kV) {
    Hold hold;
    hold.load_from(in, block, s, counters);
#pragma unroll
    for (int part = 0; part < kV; part += kPart) {
      Softmax<A> shared[kPart];
#pragma unroll
      for (int j = 0; j < kPart; j++) {
        shared[j] = softmax ? hold.normalize(block.classes, part + j) : Softmax<A>{};
      }
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        Voxels<A, kPart> voxels = hold.voxels.template part<kPart>(part);
        const int64_t i = Hold::index(in, block, c, s + part);
        A t[kPart];
        load_target<P>(in, block.first + c, i, hold.count - part, voxels, t, counters);
        VoxelSums<A> few;
#pragma unroll
        for (int j = 0; j < kPart; j++) {
          const A z = widen(hold.z[c][part + j]), w = voxels.weight[j];
          const Probability<A> x = softmax ? shared[j].at(z) : pointwise<true>(sigmoid, z);
          check_probability(in, w, z, Hold::index(in, block, c, s + part + j), counters);
          few.add(in, w, x, t[j], 0);
        }
        add(sums[c], few);
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
    warp_sum(total);
    total.weight = weight;
    if (lane == 0) shared[warp * kC + c] = total;
  }
  __syncthreads();  // every warp has stored its sums
  const int c = threadIdx.x;
  if (c >= block.classes) return;
  Sums total = shared[c];
  for (int w = 1; w < kWarps; w++) add(total, shared[w * kC + c]);
  partials[(block.n * in.classes + block.first + c) * shape.chunks + block.chunk_index] = total;
}

/// slopes: [groups, C]. A thread reads all classes of its voxels before it writes, so the gradient may replace the
/// logits.
template <class P, int kC>
__global__ void __launch_bounds__(kThreads, kRegisterBlocks<P>)
    register_gradient_kernel(Inputs in, RegisterShape shape, const ClassSlope<Accumulator<P>>* slopes, bool pooled,
                             GradientOut out) {
  using A = Accumulator<P>;
  using Hold = Held<P, kC>;
  constexpr int kV = Hold::kVoxels;
  const RegisterBlock<kC> block(in, shape);
  const bool softmax = in.activation == Activation::softmax, sigmoid = in.activation == Activation::sigmoid;
  slopes += (pooled ? 0 : block.n * in.classes) + block.first;

  for (int64_t s = block.begin + threadIdx.x * kV; s < block.end; s += kThreads * kV) {
    Hold hold;
    hold.load_from(in, block, s, nullptr);
    A t[kC][kV], g[kC][kV];
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c >= block.classes) continue;
      load_target<P>(in, block.first + c, Hold::index(in, block, c, s), hold.count, hold.voxels, t[c], nullptr);
    }
#pragma unroll
    for (int j = 0; j < kV; j++) {
      const Softmax<A> shared = softmax ? hold.normalize(block.classes, j) : Softmax<A>{};
      const A w = hold.voxels.weight[j];
      A mean = 0;
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        const A z = widen(hold.z[c][j]);
        const ClassSlope<A>& slope = slopes[c];
        const Probability<A> x = softmax ? shared.at(z) : pointwise<true>(sigmoid, z);
        const A tc = t[c][j], dp = slope.at(in, tc, difference(x, tc), A(0));
        if (softmax) {
          mean += x.p * dp;
          mean -= slope.under_softmax(in, x, tc);
          g[c][j] = dp;
        } else {
          A dz = sigmoid ? dp * (x.p * x.complement) : dp;
          if (sigmoid) dz += slope.under_sigmoid(in, x, tc, difference(x, tc));
          g[c][j] = w == 0 ? 0 : w * dz;
        }
      }
      if (!softmax) continue;
#pragma unroll
      for (int c = 0; c < kC; c++) {
        if (c >= block.classes) continue;
        const Probability<A> x = shared.at(widen(hold.z[c][j]));
        const A dz = x.p * (g[c][j] - mean) - slopes[c].under_softmax(in, x, t[c][j]);
        g[c][j] = w == 0 ? 0 : w * dz;
      }
    }
#pragma unroll
    for (int c = 0; c < kC; c++) {
      if (c < block.classes) store_gradient<P>(out, Hold::index(in, block, c, s), hold.count, g[c]);
    }
  }
}

}  // namespace warpdice::cuda
