#pragma once
// What a head predicts: the class of the largest logit of each voxel, probabilities, and counts of decisions by a
// threshold. A .cu file of each type includes this. Blocks are numbered [N][chunks], as in step 1.
#include "cuda/kernels/head_tile.cuh"

namespace warpdice::cuda {

/// Finds the class of the largest logit of each voxel of a tile, the lowest one at a tie. of_nan: see ClassesOut.
template <class P, int kPack, class Layout>
__device__ void find_largest(const Tile<P, kPack, Layout>& tile, int of_nan) {
  using A = Accumulator<P>;
  if (!tile.has_team()) return;
  const int team = tile.shape.team;
  A largest[kPack];
  int best[kPack];  // -1: a logit is NaN
#pragma unroll
  for (int j = 0; j < kPack; j++) {
    largest[j] = -INFINITY;
    best[j] = 0;
  }
  tile.for_team([&](int c, int v) {
    A z[kPack];
    load_whole(tile.place(c, v), z);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      if (z[j] > largest[j]) {
        largest[j] = z[j];
        best[j] = c;
      } else if (z[j] != z[j] && of_nan >= 0) {
        largest[j] = INFINITY;
        best[j] = -1;
      }
    }
  });
  for (int distance = team / 2; distance > 0; distance /= 2) {
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      const A other = __shfl_xor_sync(kAllLanes, largest[j], distance);
      const int its = __shfl_xor_sync(kAllLanes, best[j], distance);
      if (other < largest[j] || (other == largest[j] && its > best[j])) continue;
      largest[j] = other;
      best[j] = its;
    }
  }
  if (threadIdx.x % team != 0) return;
#pragma unroll
  for (int j = 0; j < kPack; j++) {
    tile.voxels[static_cast<int>(threadIdx.x) / team * kPack + j].class_index = best[j] < 0 ? of_nan : best[j];
  }
}

template <class P>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_classes_kernel(Inputs in, HeadShape shape, HeadMemory<Accumulator<P>> memory, ClassesOut out) {
  HeadTile<P> tile(in, shape, memory);
  for (int i = 0; i < shape.tile.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.make_logits(nullptr);
    find_largest(tile, out.of_nan);
    __syncthreads();  // every voxel has its class
    const int64_t first = tile.n * in.voxels + tile.begin;
    for (int v = threadIdx.x; v < tile.count; v += kThreads) {
      const int c = tile.voxels[v].class_index;
      if (out.bytes) static_cast<uint8_t*>(out.data)[first + v] = static_cast<uint8_t>(c);
      else static_cast<uint16_t*>(out.data)[first + v] = static_cast<uint16_t>(c);
    }
  }
}

/// to: [N,chosen.all,S] or [N,S,chosen.all]
template <class P>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_probabilities_kernel(Inputs in, HeadShape shape, HeadMemory<Accumulator<P>> memory, ChosenClasses chosen,
                              Accumulator<P>* to) {
  HeadTile<P> tile(in, shape, memory);
  for (int i = 0; i < shape.tile.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.make_logits(nullptr);
    tile.normalize();
    // Neighbouring threads write neighbouring elements.
    for (int e = threadIdx.x; e < chosen.count * tile.count; e += kThreads) {
      const int row = in.channels_last ? e % chosen.count : e / tile.count;
      const int v = in.channels_last ? e / chosen.count : e % tile.count;
      const int64_t at = chosen.first + row, s = tile.begin + v;
      const Accumulator<P> p = tile.probability(tile.voxels[v], *tile.place(chosen.classes[row], v)).p;
      to[in.channels_last ? (tile.n * in.voxels + s) * chosen.all + at : (tile.n * chosen.all + at) * in.voxels + s] =
          p;
    }
  }
}

/// Counts the decisions for class c at the voxels of one of the threads that share the class.
template <class P, int kPack, class Layout>
__device__ void add_decisions(const Tile<P, kPack, Layout>& tile, const CountInputs& inputs, int c, int share,
                              int sharers, const HeadCounts& to) {
  using A = Accumulator<P>;
  const Inputs& in = inputs.in;
  const A threshold = static_cast<A>(inputs.threshold);
  unsigned found[4] = {};
  for (int v = share * kPack; v < tile.count; v += sharers * kPack) {
    A z[kPack];
    tile.read(c, v, z);
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      if (tile.weight(c, v + j) == 0) continue;  // as voxels have that do not exist
      const int64_t index = tile.index(c, v + j);
      bool is_target = tile.voxels[v + j].class_index == c;
      if (!in.labels) {
        A t[1];
        load_operand<P>(in.target, index, 1, t);
        if (outside_unit(t[0]) || t[0] != t[0]) note_fault(to.target_faults->target, index);
        is_target = t[0] > A(0.5);
      }
      if (inputs.predicts_probabilities() && outside_unit(z[j])) note_fault(to.prediction_faults->target, index);
      const int cell = (is_target ? 2 : 0) + (z[j] > threshold ? 1 : 0);
#pragma unroll
      for (int k = 0; k < 4; k++) found[k] += cell == k ? 1 : 0;
    }
  }
#pragma unroll
  for (int k = 0; k < 4; k++) {
    if (found[k] == 0) continue;
    const unsigned long long more = found[k];
    atomicAdd(&to.counts[c * 4 + k], more);
    if (to.rows) atomicAdd(&to.rows[(tile.n * tile.C + c) * 4 + k], more);
  }
}

/// Decision::threshold.
template <class P>
__global__ void __launch_bounds__(kThreads, kTileBlocks<P>)
    head_count_kernel(CountInputs inputs, HeadShape shape, HeadMemory<Accumulator<P>> memory, HeadCounts to) {
  HeadTile<P> tile(inputs.in, shape, memory);
  const int span = tile.C < kThreads ? tile.C : kThreads, share = threadIdx.x / span;
  for (int i = 0; i < shape.tile.tiles && tile.go_to(i); i++) {
    __syncthreads();  // every thread has read the tile before
    tile.make_logits(to.target_faults);
    if (share >= shape.sharers) continue;
    for (int c = threadIdx.x % span; c < tile.C; c += span) add_decisions(tile, inputs, c, share, shape.sharers, to);
  }
}

template <class P>
cudaError_t launch_head_classes(const HeadShape& shape, const Inputs& in, const HeadMemory<Accumulator<P>>& memory,
                                const ClassesOut& out, cudaStream_t stream) {
  return launch(head_classes_kernel<P>, shape.grid(in), dim3(kThreads), shape.shared_bytes, stream, in, shape, memory,
                out);
}

template <class P>
cudaError_t launch_head_probabilities(const HeadShape& shape, const Inputs& in,
                                      const HeadMemory<Accumulator<P>>& memory, const ChosenClasses& chosen, void* to,
                                      cudaStream_t stream) {
  return launch(head_probabilities_kernel<P>, shape.grid(in), dim3(kThreads), shape.shared_bytes, stream, in, shape,
                memory, chosen, static_cast<Accumulator<P>*>(to));
}

template <class P>
cudaError_t launch_head_count(const HeadShape& shape, const CountInputs& inputs,
                              const HeadMemory<Accumulator<P>>& memory, const HeadCounts& to, cudaStream_t stream) {
  return launch(head_count_kernel<P>, shape.grid(inputs.in), dim3(kThreads), shape.shared_bytes, stream, inputs, shape,
                memory, to);
}

/// Compiles all kernels of features of type P.
#define WARPDICE_HEAD_PREDICTIONS_OF(P)                                                                               \
  template cudaError_t launch_head_classes<P>(const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&,     \
                                              const ClassesOut&, cudaStream_t);                                       \
  template cudaError_t launch_head_probabilities<P>(                                                                  \
      const HeadShape&, const Inputs&, const HeadMemory<Accumulator<P>>&, const ChosenClasses&, void*, cudaStream_t); \
  template cudaError_t launch_head_count<P>(const HeadShape&, const CountInputs&, const HeadMemory<Accumulator<P>>&,  \
                                            const HeadCounts&, cudaStream_t)

}  // namespace warpdice::cuda
