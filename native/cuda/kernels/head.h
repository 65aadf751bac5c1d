#pragma once
// Calls with a head (math/call.h): their logits lie in shared memory, a tile of voxels at a time.
//
//   pack         writes the weights in the order in which products read them
//   step 1       makes the logits of a tile, then adds up the sums as tile.cuh does
//   step 2       is that of all calls, finish.cuh
//   step 3       makes the logits of a tile again, replaces them by dL/dz, and multiplies that by the features
//                (dL/dweight) and by the weights (dL/dfeatures)
//   last         adds up the weights' gradients of all blocks, in order
//
// Predictions and metrics (head_predict.cuh, predict.cu, count.cu) make the logits of a tile and use them: pack, then
// one kernel.
//
// A thread holds kRows rows and kColumns columns of a product in registers (head_product.cuh). Rows of a tile are
// classes or channels, columns are voxels.
//
// Nothing grows with N*C*S. The workspace holds, besides the counters and sums of any call,
//   two copies of the weights, padded
//   sums of step 1        at most max(512, N) blocks of max(C, 256) rows, 64 bytes each
//   the weights' gradient at most 16 copies, or 32 MB where that is more; 256 at most
#include "cuda/kernels/launch.cuh"
#include "math/call.h"
#include "math/counts.h"

namespace warpdice::cuda {

/// How the threads share a call with a head. This follows from shape, dtypes and options alone.
struct HeadShape {
  const char* refused;  // null; else a sentence that says why no GPU can do this, and the other members have no meaning
  bool plain;           // the call is one of head_softmax.cuh
  TileShape tile;       // of the logits; `tiles` and `chunks` are those of step 1
  int sharers;          // threads that share a class in step 1; each has partial sums of its own. 1 of a plain call
  int channels;         // K
  int padded_classes, padded_channels;         // multiples of the rows that a thread holds
  int channels_at_once;                        // channels of the features' tile, a multiple of them too
  int class_splits_log2, channel_splits_log2;  // of the threads that split the terms of a part of a product
  int voxels_log2;                             // of tile.voxels
  int softmax_rows;                            // of head_softmax.cuh, one a warp or more threads
  int64_t tiles_of_sample;
  int64_t blocks;  // of step 3. Each adds up a part of the weights' gradient
  size_t shared_bytes;

  /// Partial sums of a sample and class.
  int64_t partials() const { return tile.chunks * sharers; }
  /// The blocks of step 1.
  dim3 grid(const Inputs& in) const { return dim3(static_cast<unsigned>(in.samples * tile.chunks)); }
};

HeadShape head_shape_of(const Inputs& in, const Head& head);

/// What the kernels of a head read and write in the workspace.
template <class A>
struct HeadMemory {
  A* by_class;         // the weights in groups of kRows classes: [padded_channels][kRows] of each
  A* by_channel;       // in groups of kRows channels: [padded_classes][kRows] of each
  A* bias;             // [padded_classes]
  A* weight_parts;     // [blocks][padded_classes][padded_channels]
  double* bias_parts;  // [blocks][C]
};

/// The bytes that place_head() needs, a multiple of 256.
size_t head_bytes(const HeadShape& shape, const Inputs& in, bool with_gradient);

/// base: a multiple of 256.
template <class A>
HeadMemory<A> place_head(const HeadShape& shape, const Inputs& in, char* base);

/// by_channel: whether step 3 will read the weights in that order.
template <class A>
cudaError_t launch_pack_head(const HeadShape& shape, const Inputs& in, const Head& head, const HeadMemory<A>& memory,
                             bool by_channel, cudaStream_t stream);

/// partials: [N][C][shape.partials()], written.
template <class P>
cudaError_t launch_head_statistics(const HeadShape& shape, const Inputs& in, const HeadMemory<Accumulator<P>>& memory,
                                   Sums* partials, const Notes& notes, cudaStream_t stream);

/// dL/dfeatures, and the parts of dL/dweight and dL/dbias. slopes, pooled: as in launch_gradient(). features: may have
/// no data.
template <class P>
cudaError_t launch_head_gradient(const HeadShape& shape, const Inputs& in, const Head& head,
                                 const HeadMemory<Accumulator<P>>& memory, const ClassSlope<Accumulator<P>>* slopes,
                                 bool pooled, const GradientOut& features, cudaStream_t stream);

/// dL/dt.
template <class P>
cudaError_t launch_head_target_gradient(const HeadShape& shape, const Inputs& in,
                                        const HeadMemory<Accumulator<P>>& memory,
                                        const ClassSlope<Accumulator<P>>* slopes, bool pooled, const GradientOut& out,
                                        cudaStream_t stream);

/// Where the classes of the largest logits go.
struct ClassesOut {
  void* data;  // [N,S]
  bool bytes;  // of uint8, else of uint16
  int of_nan;  // the class of a voxel of which a logit is NaN; negative: NaN is never the largest
};

/// Writes classes. in: without target and weight, as for the probabilities.
template <class P>
cudaError_t launch_head_classes(const HeadShape& shape, const Inputs& in, const HeadMemory<Accumulator<P>>& memory,
                                const ClassesOut& out, cudaStream_t stream);

/// Some of the classes whose probabilities are wanted: as many as fit the arguments of a kernel.
struct ChosenClasses {
  static constexpr int kMost = 64;
  int64_t all, first;  // how many are wanted, and which of them is the first one here
  int count;
  uint16_t classes[kMost];
};

/// Writes the probabilities of these. to: [N,all,S] or [N,S,all], double for double features, else float.
template <class P>
cudaError_t launch_head_probabilities(const HeadShape& shape, const Inputs& in,
                                      const HeadMemory<Accumulator<P>>& memory, const ChosenClasses& chosen, void* to,
                                      cudaStream_t stream);

/// Where decisions by a threshold are counted: see DeviceCount.
struct HeadCounts {
  unsigned long long *counts, *rows;            // added to; rows may be null
  Counters *prediction_faults, *target_faults;  // both count in `target`
};

/// Counts them. inputs: Decision::threshold.
template <class P>
cudaError_t launch_head_count(const HeadShape& shape, const CountInputs& inputs,
                              const HeadMemory<Accumulator<P>>& memory, const HeadCounts& to, cudaStream_t stream);

/// The sums of the parts.
template <class A>
cudaError_t launch_add_head_parts(const HeadShape& shape, const Inputs& in, const Head& head,
                                  const HeadMemory<A>& memory, cudaStream_t stream);

}  // namespace warpdice::cuda
