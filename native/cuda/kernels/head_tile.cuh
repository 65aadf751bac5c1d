#pragma once
// A tile whose logits are made from features and weights.
#include "cuda/kernels/head.h"
#include "cuda/kernels/head_product.cuh"
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

/// Shared memory: a Tile of padded_classes rows, then a part of the features, channels_at_once rows, both in Blocks.
/// P: the type of the features.
template <class P>
struct HeadTile : Tile<P, kTilePack<Accumulator<P>>, Blocks<Accumulator<P>>> {
  using A = Accumulator<P>;
  using Base = Tile<P, kTilePack<A>, Blocks<A>>;
  using Part = Product<A>;
  using Base::begin;
  using Base::C;
  using Base::count;
  using Base::in;
  using Base::n;
  using Base::voxels;
  using Base::z;
  static constexpr int kRows = Part::kRows, kColumns = Part::kColumns, kStep = Part::kStep;
  static constexpr int kBlock = Part::kBlock;

  const HeadShape& shape;
  const HeadMemory<A>& memory;
  A* x;        // the features
  int band;    // the elements of one
  int thread;  // of the block

  __device__ HeadTile(const Inputs& in_, const HeadShape& shape_, const HeadMemory<A>& memory_)
      : Base(in_, shape_.tile, 1), shape(shape_), memory(memory_) {
    band = shape.tile.class_stride;
    x = z + shape.padded_classes / kStep * band;
  }

  /// Goes to the i-th tile of the block. Returns false when there is none.
  __device__ bool go_to(int i) {
    thread = anew(static_cast<int>(threadIdx.x));
    return Base::go_to(i);
  }

  /// Goes to one of all tiles of the batch.
  __device__ void go_to_tile(int64_t tile) {
    thread = anew(static_cast<int>(threadIdx.x));
    n = tile / shape.tiles_of_sample;
    begin = tile % shape.tiles_of_sample * shape.tile.voxels;
    count = static_cast<int>(in.voxels - begin < shape.tile.voxels ? in.voxels - begin : shape.tile.voxels);
  }

  /// Of the blocks of a band.
  __device__ int across_log2() const { return shape.voxels_log2 - (kColumns == 4 ? 2 : 1); }

  /// Makes the logits; of classes that do not exist, `missing`. No thread may still read the tile before it.
  __device__ void make_logits(Counters* counters, A missing = 0) {
    Base::load_voxels_of_tile(counters);
    __syncthreads();  // the weights of the voxels are there
    const Share share(*this, shape.padded_classes, shape.class_splits_log2);
    load_features(0);
    __syncthreads();  // these are loaded
    const A* const weights = memory.by_class + int64_t{share.group} * shape.padded_channels * kRows;
    Part sums(share.works && share.split == 0 ? memory.bias + share.group * kRows : nullptr);
    add_bands(sums, weights, x, channels_from(0), share);
#pragma unroll 1
    for (int first = shape.channels_at_once; first < shape.channels; first += shape.channels_at_once) {
      __syncthreads();  // every thread has read the features before
      load_features(first);
      __syncthreads();  // these are loaded
      add_bands(sums, weights + first * kRows, x, channels_from(first), share);
    }
    if ((share.group + 1) * kRows > C) {
      // An infinite feature has made them NaN.
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        if (share.group * kRows + i < C) continue;
#pragma unroll
        for (int j = 0; j < kColumns; j++) sums.sums[i][j] = missing;
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
    for_packs(first, features, [&](A* to, int v, auto pack, int64_t at, int exist, bool whole) {
      constexpr int kCount = decltype(pack)::value;
      P raw[kCount];
      A wide[kCount];
      if (whole) load_whole(features + at, raw);
      else load(features + at, exist, raw);
#pragma unroll
      for (int j = 0; j < kCount; j++) wide[j] = widen(raw[j]);
      if (weighted) {
#pragma unroll
        for (int j = 0; j < kCount; j++) {
          if (voxels[v + j].weight == 0) wide[j] = 0;
        }
      }
      if constexpr (kCount == 1) to[0] = wide[0];
      else store_pieces(to, wide);
    });
  }

  /// dL/dweight and dL/dbias of the tile, added to those of the block, or in place of what is there.
  __device__ void add_weight_gradients(bool of_weight, bool of_bias, bool adds) {
    if (of_bias) {
      double* to = memory.bias_parts + blockIdx.x * in.classes;
      for (int c = thread; c < C; c += kThreads) {
        A sum = 0;
        const A* const row = Base::place(c, 0);
#pragma unroll 4
        for (int block = 0; block < 1 << across_log2(); block++) {
          A few[kColumns];
          load_whole(row + block * kBlock, few);
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
      for (int item = thread; item < items; item += kThreads) {
        const int group = item / threads, channel = item % threads * kColumns;
        Part sums;
        sums.add_rows(z + 2 * group * band, x + channel / kColumns * band, band, 1 << across_log2());
        A* const to = part + int64_t{group} * kRows * shape.padded_channels + first + channel;
        sums.store_to(adds, [&](int i) { return to + int64_t{i} * shape.padded_channels; });
      }
    }
  }

  /// dL/dfeatures. The features' tile is overwritten.
  __device__ void store_feature_gradient(const GradientOut& out) {
    for (int first = 0; first < shape.channels; first += shape.channels_at_once) {
      __syncthreads();  // every thread has read x
      const Share share(*this, channels_from(first), shape.channel_splits_log2);
      Part sums;
      const int64_t term = int64_t{first / kRows + share.group} * shape.padded_classes;
      add_bands(sums, memory.by_channel + term * kRows, z, shape.padded_classes, share);
      combine(sums, share, x);
      for_packs(first, out.data, [&](const A* from, int, auto pack, int64_t at, int exist, bool) {
        constexpr int kCount = decltype(pack)::value;
        A wide[kCount];
        if constexpr (kCount == 1) wide[0] = from[0];
        else load_pieces(from, wide);
        store_gradient<P>(out, at, exist, wide);
      });
    }
  }

 private:
  /// Which part of a product [rows][voxels] a thread makes. Where there are more threads than parts, several split the
  /// terms of a part.
  struct Share {
    int splits_log2, split, group, column;
    bool works;

    __device__ Share(const HeadTile& tile, int rows, int splits_log2_) : splits_log2(splits_log2_) {
      const int log2 = tile.across_log2(), of_split_log2 = kThreadsLog2 - splits_log2;
      const int item = tile.thread & ((1 << of_split_log2) - 1);
      split = tile.thread >> of_split_log2;
      group = item >> log2;
      column = item & ((1 << log2) - 1);
      works = group < rows / kRows;
    }
  };

  /// The thread's bands of a product over `terms` terms. a: [terms][kRows]. b: bands of as many rows.
  __device__ void add_bands(Part& sums, const A* a, const A* b, int terms, const Share& share) const {
    const int bands = share.works ? terms / kStep : 0, first = share.split * bands >> share.splits_log2;
    const int end = (share.split + 1) * bands >> share.splits_log2;
    sums.add_bands(a + first * kStep * kRows, b + first * band + share.column * kBlock, band, end - first);
  }

  /// Adds up what the threads of a part have made, in order. to: bands. All threads of the block must call it.
  __device__ void combine(const Part& sums, const Share& share, A* to) const {
    A* const blocks = to + 2 * share.group * band + share.column * kBlock;
    const auto place = [&](int i) { return Part::row(blocks, band, i); };
    if (share.works && share.split == 0) sums.store_to(false, place);
    __syncthreads();  // the first ones have stored
    for (int turn = 1; turn < 1 << share.splits_log2; turn++) {
      if (share.works && share.split == turn) sums.store_to(true, place);
      __syncthreads();  // those whose turn it was have stored
    }
  }

  /// Neighbouring voxels of a row, in pieces of 16 bytes, each in a block of its own.
  template <int kCount>
  static __device__ void store_pieces(A* to, const A (&from)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; i += kColumns) {
      A piece[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; j++) piece[j] = from[i + j];
      store_whole(to + i / kColumns * kBlock, piece);
    }
  }
  template <int kCount>
  static __device__ void load_pieces(const A* from, A (&to)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; i += kColumns) {
      A piece[kColumns];
      load_whole(from + i / kColumns * kBlock, piece);
#pragma unroll
      for (int j = 0; j < kColumns; j++) to[i + j] = piece[j];
    }
  }

  /// visit(place in x, voxel, Number of voxels, element of the features' array, how many of them exist, whether they
  /// are all there and aligned at `base`) for each piece of x.
  template <class Visit>
  __device__ void for_packs(int first, const void* base, Visit visit) const {
    const int rows = channels_from(first), exist = shape.channels - first;
    if (in.channels_last) {
      // Neighbouring threads take neighbouring channels.
      for (int i = thread; i < rows * shape.tile.voxels; i += kThreads) {
        const int r = i % rows, v = i / rows;
        const int64_t at = (n * in.voxels + begin + v) * shape.channels + first + r;
        visit(x + Blocks<A>::place(shape.tile, r, v), v, Number<1>{}, at, r < exist ? count - v : 0, false);
      }
      return;
    }
    // A thread takes the same voxels of every so many rows.
    constexpr int kPack = kPackOf<P>, kPackLog2 = kPack == 8 ? 3 : kPack == 4 ? 2 : 1;
    const int log2 = shape.voxels_log2 - kPackLog2, every = kThreads >> log2;
    const int v = (thread & ((1 << log2) - 1)) * kPack;
    const bool whole = count - v >= kPack && in.voxels % kPack == 0 && is_aligned<16>(base);
    int r = thread >> log2;
    int64_t at = (n * shape.channels + first + r) * in.voxels + begin + v;
    if (whole && rows <= exist) {
      for (; r < rows; r += every, at += every * in.voxels) {
        visit(x + Blocks<A>::place(shape.tile, r, v), v, Number<kPack>{}, at, kPack, true);
      }
      return;
    }
    for (; r < rows; r += every, at += every * in.voxels) {
      const bool exists = r < exist;
      visit(x + Blocks<A>::place(shape.tile, r, v), v, Number<kPack>{}, at, exists ? count - v : 0, whole && exists);
    }
  }
};

}  // namespace warpdice::cuda
