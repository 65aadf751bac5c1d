#pragma once
// A part of a matrix product, in a thread's registers.
#include "cuda/kernels/pack.cuh"

namespace warpdice::cuda {

/// kRows rows and kColumns columns. A thread reads kStep terms of each row and column at once, in pieces of 16 bytes:
/// 12 loads for 128 multiply-adds of floats.
template <class A>
struct Product {
  static constexpr int kColumns = 16 / sizeof(A), kRows = 2 * kColumns, kStep = kColumns;

  A sums[kRows][kColumns];

  __device__ Product() {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kColumns; j++) sums[i][j] = 0;
    }
  }

  /// Adds `steps` steps of a: blocks [kRows][kStep] that follow each other; and b: [kStep * steps][stride]. Of both
  /// every `every`th step.
  __device__ void add_blocks(const A* a, const A* b, int stride, int steps, int every) {
#pragma unroll 1
    for (int step = 0; step < steps; step += every) {
      A left[kRows][kStep], right[kStep][kColumns];
#pragma unroll
      for (int i = 0; i < kRows; i++) load_whole(a + i * kStep, left[i]);
#pragma unroll
      for (int k = 0; k < kStep; k++) load_whole(b + k * stride, right[k]);
#pragma unroll
      for (int k = 0; k < kStep; k++) {
#pragma unroll
        for (int i = 0; i < kRows; i++) {
#pragma unroll
          for (int j = 0; j < kColumns; j++) sums[i][j] += left[i][k] * right[k][j];
        }
      }
      a += every * kRows * kStep;
      b += every * kStep * stride;
    }
  }

  /// Adds the products of rows of a and rows of b, over `count` terms, rounded up to whole steps.
  __device__ void add_rows(const A* a, int a_stride, const A* b, int b_stride, int count) {
    for (int v = 0; v < count; v += kStep) {
      A left[kRows][kStep], right[kColumns][kStep];
#pragma unroll
      for (int i = 0; i < kRows; i++) load_whole(a + i * a_stride + v, left[i]);
#pragma unroll
      for (int j = 0; j < kColumns; j++) load_whole(b + j * b_stride + v, right[j]);
#pragma unroll
      for (int k = 0; k < kStep; k++) {
#pragma unroll
        for (int i = 0; i < kRows; i++) {
#pragma unroll
          for (int j = 0; j < kColumns; j++) sums[i][j] += left[i][k] * right[j][k];
        }
      }
    }
  }

  /// Adds the sums to rows of an array, or replaces what is there.
  __device__ void store_to(A* to, int64_t stride, bool adds) const {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      A row[kColumns] = {};
      if (adds) load_whole(to + i * stride, row);
#pragma unroll
      for (int j = 0; j < kColumns; j++) row[j] += sums[i][j];
      store_whole(to + i * stride, row);
    }
  }
};

}  // namespace warpdice::cuda
