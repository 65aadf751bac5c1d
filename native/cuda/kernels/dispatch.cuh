#pragma once
// Picks the kernel that was compiled for a geometry, and launches it. One .cu file per type of predictions includes
// this.
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/register.cuh"
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

/// Returns visit(Number of classes held, Flag every_term).
template <class Visit>
cudaError_t with_registers(const Geometry& geometry, Visit visit) {
  const auto with = [&](auto held) {
    return geometry.every_term ? visit(held, Flag<true>{}) : visit(held, Flag<false>{});
  };
  switch (geometry.held) {
    case 1:
      return with(Number<1>{});
    case 2:
      return with(Number<2>{});
    case 4:
      return with(Number<4>{});
    default:
      return visit(Number<kMaxInRegisters<false>>{}, Flag<false>{});
  }
}

/// Returns visit(Number of voxels read at once, Flag every_term).
template <class P, class Visit>
cudaError_t with_tile(const Geometry& geometry, Visit visit) {
  const auto with = [&](auto every_term) {
    constexpr int kPack = kTilePack<Accumulator<P>, decltype(every_term)::value>;
    return geometry.pack == 1 ? visit(Number<1>{}, every_term) : visit(Number<kPack>{}, every_term);
  };
  return geometry.every_term ? with(Flag<true>{}) : with(Flag<false>{});
}

template <class P>
cudaError_t launch_statistics(const Geometry& geometry, const Inputs& in, Sums* partials, Counters* counters,
                              cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.statistics_shared_bytes;
  if (geometry.tiled) {
    const dim3 slabs(grid.x * geometry.slabs);
    return with_tile<P>(geometry, [&](auto pack, auto every_term) {
      return launch(tile_statistics_kernel<P, decltype(pack)::value, decltype(every_term)::value>, slabs, block,
                    shared_bytes, stream, in, geometry.tile, geometry.slabs, partials, counters);
    });
  }
  return with_registers(geometry, [&](auto held, auto every_term) {
    return launch(register_statistics_kernel<P, decltype(held)::value, decltype(every_term)::value>, grid, block,
                  shared_bytes, stream, in, geometry.registers, partials, counters);
  });
}

template <class P>
cudaError_t launch_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                            bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.gradient_shared_bytes;
  if (geometry.tiled) {
    return with_tile<P>(geometry, [&](auto pack, auto every_term) {
      return launch(tile_gradient_kernel<P, decltype(pack)::value, decltype(every_term)::value>, grid, block,
                    shared_bytes, stream, in, geometry.tile, slopes, pooled, out);
    });
  }
  return with_registers(geometry, [&](auto held, auto every_term) {
    return launch(register_gradient_kernel<P, decltype(held)::value, decltype(every_term)::value>, grid, block,
                  shared_bytes, stream, in, geometry.registers, slopes, pooled, out);
  });
}

template <class P>
cudaError_t launch_target_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                                   bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const auto kernel = geometry.pack == 1 ? tile_target_gradient_kernel<P, 1>
                                         : tile_target_gradient_kernel<P, kTilePack<Accumulator<P>, true>>;
  return launch(kernel, grid, block, geometry.gradient_shared_bytes, stream, in, geometry.tile, slopes, pooled, out);
}

/// Compiles all kernels of predictions of type P.
#define WARPDICE_KERNELS_OF(P)                                                                                      \
  template cudaError_t launch_statistics<P>(const Geometry&, const Inputs&, Sums*, Counters*, cudaStream_t);        \
  template cudaError_t launch_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, bool,  \
                                          const GradientOut&, cudaStream_t);                                        \
  template cudaError_t launch_target_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, \
                                                 bool, const GradientOut&, cudaStream_t)

}  // namespace warpdice::cuda
