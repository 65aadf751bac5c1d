#pragma once
// A tile whose logits are made from features and weights.
#include "cuda/kernels/head.h"
#include "cuda/kernels/head_product.cuh"
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

/// Where the parts of the weight's gradient have channel k: a thread's columns are `columns` channels, as far apart as
/// there are threads for a row, so that neighbouring threads read neighbouring rows of the features' tile.
WARPDICE_HOST_DEVICE inline int channel_place(const HeadShape& shape, int columns, int k) {
  const int first = k / shape.channels_at_once * shape.channels_at_once, left = shape.padded_channels - first;
  const int threads = (left < shape.channels_at_once ? left : shape.channels_at_once) / columns;
  return first + (k - first) % threads * columns + (k - first) / threads;
}

/// Shared memory: a Tile [padded_classes][class_stride], then a part of the features [channels_at_once][class_stride].
/// P: the type of the features.
template <class P>
struct HeadTile : Tile<P, kTilePack<Accumulator<P>>> {
  using A = Accumulator<P>;
  using Base = Tile<P, kTilePack<A>>;
  using Part = Product<A>;
  using Base::begin;
  using Base::C;
  using Base::count;
  using Base::in;
  using Base::n;
  using Base::voxels;
  using Base::z;
  static constexpr int kRows = Part::kRows, kColumns = Part::kColumns, kStep = Part::kStep;

  const HeadShape& shape;
  const HeadMemory<A>& memory;
  A* x;        // the features
  int stride;  // of their rows, and of those of the logits

  __device__ HeadTile(const Inputs& in_, const HeadShape& shape_, const HeadMemory<A>& memory_)
      : Base(in_, shape_.tile, 1), shape(shape_), memory(memory_) {
    stride = shape.tile.class_stride;
    x = z + shape.padded_classes * stride;
  }

  /// Goes to one of all tiles of the batch.
  __device__ void go_to_tile(int64_t tile) {
    n = tile / shape.tiles_of_sample;
    begin = tile % shape.tiles_of_sample * shape.tile.voxels;
    count = static_cast<int>(in.voxels - begin < shape.tile.voxels ? in.voxels - begin : shape.tile.voxels);
  }

  /// Makes the logits. No thread may still read the tile before it.
  __device__ void make_logits(Counters* counters) {
    Base::load_voxels_of_tile(counters);
    __syncthreads();  // the weights of the voxels are there
    const Share share(*this, shape.padded_classes);
    Part sums;
    for (int first = 0; first < shape.channels; first += shape.channels_at_once) {
      if (first > 0) __syncthreads();  // every thread has read the features before
      load_features(first);
      __syncthreads();  // these are loaded
      if (!share.works()) continue;
      const int64_t block = int64_t{share.group} * (shape.padded_channels / kStep) + first / kStep;
      add_steps(sums, memory.by_class + block * kRows * kStep, x, channels_from(first), share);
    }
    if (share.works() && share.split == 0) {
      A bias[kRows];
      load_whole(memory.bias + share.group * kRows, bias);
#pragma unroll
      for (int i = 0; i < kRows; i++) {
#pragma unroll
        for (int j = 0; j < kColumns; j++) sums.sums[i][j] += bias[i];
      }
    }
    if ((share.group + 1) * kRows > C) {
      // dL/dz of the classes that do not exist is 0. An infinite feature has made them NaN.
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        if (share.group * kRows + i < C) continue;
#pragma unroll
        for (int j = 0; j < kColumns; j++) sums.sums[i][j] = 0;
      }
    }
    combine(sums, share, z);
  }

  /// The channels that lie in x from this one on.
  __device__ int channels_from(int first) const {
    const int left = shape.padded_channels - first;
    return left < shape.channels_at_once ? left : shape.channels_at_once;
  }

  /// Loads the features from channel `first` on. Those of channels that do not exist, and of voxels without weight,
  /// become 0: NaN times 0 would be NaN.
  __device__ void load_features(int first) {
    const P* features = static_cast<const P*>(in.predictions.data);
    const bool weighted = in.weight.data || in.class_weight.data || in.has_ignore;
    for_packs(first, features, [&](int r, int v, auto pack, int64_t at, int exist, bool whole) {
      constexpr int kCount = decltype(pack)::value;
      P raw[kCount];
      A wide[kCount];
      if (whole) load_whole(features + at, raw);
      else load(features + at, exist, raw);
#pragma unroll
      for (int j = 0; j < kCount; j++) {
        wide[j] = widen(raw[j]);
        if (weighted && voxels[v + j].weight == 0) wide[j] = 0;
      }
      if (kCount == 1) x[r * stride + v] = wide[0];
      else store_whole(x + r * stride + v, wide);
    });
  }

  /// dL/dweight and dL/dbias of the tile, added to those of the block, or in place of what is there.
  __device__ void add_weight_gradients(bool of_weight, bool of_bias, bool adds) {
    if (of_bias) {
      double* to = memory.bias_parts + blockIdx.x * in.classes;
      for (int c = threadIdx.x; c < C; c += kThreads) {
        A sum = 0;
        for (int v = 0; v < count; v += kColumns) {
          A few[kColumns];
          load_whole(z + c * stride + v, few);
#pragma unroll
          for (int j = 0; j < kColumns; j++) sum += few[j];
        }
        to[c] = adds ? to[c] + sum : sum;
      }
    }
    if (!of_weight) return;
    A* part = memory.weight_parts + int64_t{blockIdx.x} * shape.padded_classes * shape.padded_channels;
    const bool whole = shape.channels_at_once >= shape.padded_channels;
    for (int first = 0; first < shape.channels; first += shape.channels_at_once) {
      if (!whole) {
        __syncthreads();  // every thread has read the features before
        load_features(first);
        __syncthreads();  // these are loaded
      }
      const int threads = channels_from(first) / kColumns, items = shape.padded_classes / kRows * threads;
      for (int item = threadIdx.x; item < items; item += kThreads) {
        const int row = item / threads * kRows, column = item % threads;
        Part sums;
        sums.add_rows(z + row * stride, stride, x + column * stride, threads * stride, count);
        sums.store_to(part + int64_t{row} * shape.padded_channels + first + column * kColumns, shape.padded_channels,
                      adds);
      }
    }
  }

  /// dL/dfeatures. The features' tile is overwritten.
  __device__ void store_feature_gradient(const GradientOut& out) {
    for (int first = 0; first < shape.channels; first += shape.channels_at_once) {
      __syncthreads();  // every thread has read x
      const Share share(*this, channels_from(first));
      Part sums;
      if (share.works()) {
        const int64_t block = int64_t{first / kRows + share.group} * (shape.padded_classes / kStep);
        add_steps(sums, memory.by_channel + block * kRows * kStep, z, shape.padded_classes, share);
      }
      combine(sums, share, x);
      for_packs(first, out.data, [&](int r, int v, auto pack, int64_t at, int exist, bool) {
        constexpr int kCount = decltype(pack)::value;
        A wide[kCount];
        if (kCount == 1) wide[0] = x[r * stride + v];
        else load_whole(x + r * stride + v, wide);
        store_gradient<P>(out, at, exist, wide);
      });
    }
  }

 private:
  /// Which part of a product [rows][voxels] a thread makes. Where there are more threads than parts, several split the
  /// terms of a part.
  struct Share {
    int splits, split, group, column;

    __device__ Share(const HeadTile& tile, int rows) {
      const int log2 = tile.shape.voxels_log2 - (kColumns == 4 ? 2 : 1), wide = 1 << log2;
      const int items = rows / kRows * wide, item = static_cast<int>(threadIdx.x) % items;
      splits = kThreads / items;
      split = static_cast<int>(threadIdx.x) / items;
      group = item >> log2;
      column = (item & (wide - 1)) * kColumns;
    }
    __device__ bool works() const { return split < splits; }
  };

  /// The thread's steps of a product over `terms` terms. a: its blocks; b: [terms][stride].
  __device__ void add_steps(Part& sums, const A* a, const A* b, int terms, const Share& share) const {
    sums.add_blocks(a + share.split * kRows * kStep, b + share.split * kStep * stride + share.column, stride,
                    terms / kStep - share.split, share.splits);
  }

  /// Adds up what the threads of a part have made, in order. to: [rows][stride]. All threads of the block must call it.
  __device__ void combine(const Part& sums, const Share& share, A* to) const {
    A* const place = to + share.group * kRows * stride + share.column;
    if (share.split == 0) sums.store_to(place, stride, false);
    __syncthreads();  // the first ones have stored
    for (int turn = 1; turn < share.splits; turn++) {
      if (share.split == turn) sums.store_to(place, stride, true);
      __syncthreads();  // those whose turn it was have stored
    }
  }

  /// visit(row of x, voxel, Number of voxels, element of the features' array, how many of them exist, whether they are
  /// all there and aligned at `base`) for each piece of x.
  template <class Visit>
  __device__ void for_packs(int first, const void* base, Visit visit) const {
    const int rows = channels_from(first), exist = shape.channels - first;
    if (in.channels_last) {
      // Neighbouring threads take neighbouring channels.
      for (int i = threadIdx.x; i < rows * shape.tile.voxels; i += kThreads) {
        const int r = i % rows, v = i / rows;
        const int64_t at = (n * in.voxels + begin + v) * shape.channels + first + r;
        visit(r, v, Number<1>{}, at, r < exist ? count - v : 0, false);
      }
      return;
    }
    // A thread takes the same voxels of every so many rows.
    constexpr int kPack = kPackOf<P>, kPackLog2 = kPack == 8 ? 3 : kPack == 4 ? 2 : 1;
    const int log2 = shape.voxels_log2 - kPackLog2, every = kThreads >> log2;
    const int v = (static_cast<int>(threadIdx.x) & ((1 << log2) - 1)) * kPack;
    const bool whole = count - v >= kPack && in.voxels % kPack == 0 && is_aligned<16>(base);
    int r = static_cast<int>(threadIdx.x) >> log2;
    int64_t at = (n * shape.channels + first + r) * in.voxels + begin + v;
    for (; r < rows; r += every, at += every * in.voxels) {
      visit(r, v, Number<kPack>{}, at, r < exist ? count - v : 0, whole && r < exist);
    }
  }
};

}  // namespace warpdice::cuda
