#pragma once
// From a geometry to the kernel that was compiled for it. Included by one .cu file per type of predictions.
#include "cuda/geometry.h"

namespace warpdice::cuda {

template <bool kValue>
struct Flag {
  static constexpr bool value = kValue;
};
template <int kValue>
struct Number {
  static constexpr int value = kValue;
};

/// Calls launch(Number of classes held, Flag full).
template <class Launch>
cudaError_t with_registers(const Geometry& geometry, Launch launch) {
  const auto with = [&](auto held) { return geometry.full ? launch(held, Flag<true>{}) : launch(held, Flag<false>{}); };
  switch (geometry.held) {
    case 1:
      return with(Number<1>{});
    case 2:
      return with(Number<2>{});
    case 4:
      return with(Number<4>{});
    default:
      return launch(Number<kMostInRegisters<false>>{}, Flag<false>{});
  }
}

/// Calls launch(Number of voxels read at once, Flag full).
template <class P, class Launch>
cudaError_t with_tile(const Geometry& geometry, Launch launch) {
  const auto with = [&](auto full) {
    constexpr int kPack = kTilePack<Accumulator<P>, decltype(full)::value>;
    return geometry.pack == 1 ? launch(Number<1>{}, full) : launch(Number<kPack>{}, full);
  };
  return geometry.full ? with(Flag<true>{}) : with(Flag<false>{});
}

template <class P>
cudaError_t launch_statistics(const Geometry& geometry, const Inputs& in, Sums* partials, Counters* counters,
                              cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.statistics_shared_bytes;
  if (geometry.tiled) {
    const dim3 slabs(grid.x * geometry.slabs);
    return with_tile<P>(geometry, [&](auto pack, auto full) {
      return launch(tile_statistics_kernel<P, decltype(pack)::value, decltype(full)::value>, slabs, block, shared_bytes,
                    stream, in, geometry.tile, geometry.slabs, partials, counters);
    });
  }
  return with_registers(geometry, [&](auto held, auto full) {
    return launch(register_statistics_kernel<P, decltype(held)::value, decltype(full)::value>, grid, block,
                  shared_bytes, stream, in, geometry.registers, partials, counters);
  });
}

template <class P>
cudaError_t launch_gradient(const Geometry& geometry, const Inputs& in, const Slope<Accumulator<P>>* slopes,
                            bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.gradient_shared_bytes;
  if (geometry.tiled) {
    return with_tile<P>(geometry, [&](auto pack, auto full) {
      return launch(tile_gradient_kernel<P, decltype(pack)::value, decltype(full)::value>, grid, block, shared_bytes,
                    stream, in, geometry.tile, slopes, pooled, out);
    });
  }
  return with_registers(geometry, [&](auto held, auto full) {
    return launch(register_gradient_kernel<P, decltype(held)::value, decltype(full)::value>, grid, block, shared_bytes,
                  stream, in, geometry.registers, slopes, pooled, out);
  });
}

template <class P>
cudaError_t launch_target_gradient(const Geometry& geometry, const Inputs& in, const Slope<Accumulator<P>>* slopes,
                                   bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const auto kernel = geometry.pack == 1 ? tile_target_gradient_kernel<P, 1>
                                         : tile_target_gradient_kernel<P, kTilePack<Accumulator<P>, true>>;
  return launch(kernel, grid, block, geometry.gradient_shared_bytes, stream, in, geometry.tile, slopes, pooled, out);
}

/// Compiles all kernels of predictions of type P.
#define WARPDICE_KERNELS_OF(P)                                                                                       \
  template cudaError_t launch_statistics<P>(const Geometry&, const Inputs&, Sums*, Counters*, cudaStream_t);         \
  template cudaError_t launch_gradient<P>(const Geometry&, const Inputs&, const Slope<Accumulator<P>>*, bool,        \
                                          const GradientOut&, cudaStream_t);                                         \
  template cudaError_t launch_target_gradient<P>(const Geometry&, const Inputs&, const Slope<Accumulator<P>>*, bool, \
                                                 const GradientOut&, cudaStream_t)

}  // namespace warpdice::cuda
