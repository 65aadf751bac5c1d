#pragma once
// A part of a matrix product, in a thread's registers.
#include "cuda/kernels/pack.cuh"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {

/// How the logits and the features of a tile lie in shared memory: in blocks of kSide rows, which are classes or
/// channels, and as many columns, which are voxels. A thread reads a block in pieces of 16 bytes, at distances that the
/// compiler knows. A band is the blocks of the same rows. A piece of padding after each block, and one after each band,
/// let neighbouring threads read different banks.
template <class A>
struct Blocks {
  static constexpr int kSide = 16 / sizeof(A), kBlock = (kSide + 1) * kSide;

  /// The elements of a band.
  static constexpr int band(int voxels) { return voxels / kSide * kBlock + kSide; }

  /// TileShape::class_stride is a band's.
  static __device__ int place(const TileShape& shape, int row, int voxel) {
    const unsigned r = row, v = voxel;
    return r / kSide * shape.class_stride + r % kSide * kSide + v / kSide * kBlock + v % kSide;
  }
};

/// kRows rows and kColumns columns, a block beside each other in two bands. A thread reads kStep terms of each row and
/// column at once: of floats, 12 loads for 128 multiply-adds.
template <class A>
struct Product {
  static constexpr int kColumns = Blocks<A>::kSide, kRows = 2 * kColumns, kStep = kColumns;
  static constexpr int kBlock = Blocks<A>::kBlock;

  A sums[kRows][kColumns];

  /// start: of each row; null: 0.
  __device__ explicit Product(const A* start = nullptr) {
    A of_row[kRows] = {};
    if (start) load_whole(start, of_row);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) sums[i][j] = anew(of_row[i]);  // or registers are filled at several places
    }
  }

  /// Adds `bands` bands of terms. a: [terms][kRows]. b: the first block.
  __device__ void add_bands(const A* a, const A* b, int band, int bands) {
#pragma unroll 1
    for (int done = 0; done < bands; done++) {
#pragma unroll
      for (int k = 0; k < kStep; k++) {
        A left[kRows], right[kColumns];
        load_whole(a + k * kRows, left);
        load_whole(b + k * kColumns, right);
#pragma unroll
        for (int i = 0; i < kRows; i++) {
#pragma unroll
          for (int j = 0; j < kColumns; j++) sums[i][j] += left[i] * right[j];
        }
      }
      a += kStep * kRows;
      b += band;
    }
  }

  /// Adds the products of the rows of two bands at a and the rows of one at b over the voxels of `blocks` blocks.
  __device__ void add_rows(const A* a, const A* b, int band, int blocks) {
#pragma unroll 1
    for (int block = 0; block < blocks; block++) {
      A left[kRows][kColumns], right[kColumns][kColumns];
#pragma unroll
      for (int i = 0; i < kRows; i++) load_whole(row(a, band, i), left[i]);
#pragma unroll
      for (int j = 0; j < kColumns; j++) load_whole(b + j * kColumns, right[j]);
#pragma unroll
      for (int v = 0; v < kColumns; v++) {
#pragma unroll
        for (int i = 0; i < kRows; i++) {
#pragma unroll
          for (int j = 0; j < kColumns; j++) sums[i][j] += left[i][v] * right[j][v];
        }
      }
      a += kBlock;
      b += kBlock;
    }
  }

  /// The place of the i-th row in blocks of two bands.
  template <class T>
  static __device__ T* row(T* blocks, int band, int i) {
    return blocks + i / kColumns * band + i % kColumns * kColumns;
  }

  /// Adds the sums to what is at place(row), or replaces that.
  template <class Place>
  __device__ void store_to(bool adds, Place place) const {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      A* const to = place(i);
      if (!adds) {
        store_whole(to, sums[i]);
        continue;
      }
      A before[kColumns];
      load_whole(to, before);
#pragma unroll
      for (int j = 0; j < kColumns; j++) before[j] += sums[i][j];
      store_whole(to, before);
    }
  }
};

}  // namespace warpdice::cuda
