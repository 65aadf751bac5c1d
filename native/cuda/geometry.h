#pragma once
// Which kernels read a tensor, and how they share it. All of it follows from shape, dtype and options, never from the
// GPU or from pointers: the same input gives the same bits everywhere.
#include "cuda/kernels/register.cuh"
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

struct Geometry {
  /// Null, or why no grid of a GPU is so, in words; the rest is then of no use.
  const char* refused;
  bool full;       // the long form of formula.cuh
  bool tiled;      // tile.cuh instead of registers.cuh
  int held;        // classes that a thread's registers hold: 1, 2, 4 or 8
  int pack;        // voxels that are read from a tile at once
  int64_t chunks;  // partial sums of a sample and class
  int64_t blocks;  // of step 3; step 1 of tile.cuh has one for each slab
  int slabs;       // of tile.cuh
  size_t statistics_shared_bytes, gradient_shared_bytes;
  RegisterShape registers;
  TileShape tile;
};

Geometry geometry_of(const Inputs& in);

/// That of dL/dt, which is always made by tiles.
Geometry target_geometry_of(const Inputs& in);

/// Steps 1 and 3 of predictions of type P: instantiated in one file per type, which compile side by side.
template <class P>
cudaError_t launch_statistics(const Geometry& geometry, const Inputs& in, Sums* partials, Counters* counters,
                              cudaStream_t stream);
template <class P>
cudaError_t launch_gradient(const Geometry& geometry, const Inputs& in, const Slope<Accumulator<P>>* slopes,
                            bool pooled, const GradientOut& out, cudaStream_t stream);
template <class P>
cudaError_t launch_target_gradient(const Geometry& geometry, const Inputs& in, const Slope<Accumulator<P>>* slopes,
                                   bool pooled, const GradientOut& out, cudaStream_t stream);

}  // namespace warpdice::cuda
