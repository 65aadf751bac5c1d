#pragma once
// Picks the kernel that was compiled for a geometry, and launches it. One .cu file per type of predictions includes
// this.
#include "cuda/kernels/launch.cuh"
#include "cuda/kernels/register.cuh"
#include "cuda/kernels/team_gradient.cuh"
#include "cuda/kernels/team_statistics.cuh"
#include "cuda/kernels/tile.cuh"

namespace warpdice::cuda {

/// Returns visit(Number of classes of a thread, Flag whether the target is dense, Flag whether the kernel knows a
/// cross-entropy): for a dense target one kernel does both.
template <class P, class Visit>
cudaError_t with_team(const TeamShape& shape, const Inputs& in, Visit visit) {
  if constexpr (!has_teams(sizeof(P))) {
    return cudaErrorInvalidValue;  // geometry.cc asks for none
  } else {
    const auto with = [&](auto held) {
      if (!in.labels) return visit(held, Flag<true>{}, Flag<true>{});
      return in.cross_entropy ? visit(held, Flag<false>{}, Flag<true>{}) : visit(held, Flag<false>{}, Flag<false>{});
    };
    if (shape.held == 1) return with(Number<1>{});
    if (shape.held == 2) return with(Number<2>{});
    if (shape.held == 3) return with(Number<3>{});
    return shape.held == 4 ? with(Number<4>{}) : with(Number<5>{});
  }
}

/// Returns visit(Number of classes held).
template <class Visit>
cudaError_t with_registers(const Geometry& geometry, Visit visit) {
  if (geometry.held == 1) return visit(Number<1>{});
  return geometry.held == 2 ? visit(Number<2>{}) : visit(Number<kMaxInRegisters>{});
}

/// Returns visit(Number of voxels read at once).
template <class P, class Visit>
cudaError_t with_tile(const Geometry& geometry, Visit visit) {
  return geometry.pack == 1 ? visit(Number<1>{}) : visit(Number<kTilePack<Accumulator<P>>>{});
}

template <class P>
cudaError_t launch_statistics(const Geometry& geometry, const Inputs& in, Sums* partials, const Notes& notes,
                              cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.statistics_shared_bytes;
  if (geometry.teamed) {
    const TeamShape& shape = geometry.team;
    return with_team<P>(shape, in, [&](auto held, auto dense, auto entropy) {
      return launch(team_statistics_kernel<P, decltype(held)::value, decltype(dense)::value, decltype(entropy)::value>,
                    grid, dim3(shape.block_warps * kWarp), shared_bytes, stream, in, shape, partials, notes);
    });
  }
  if (geometry.tiled) {
    const dim3 slabs(grid.x * geometry.slabs);
    return with_tile<P>(geometry, [&](auto pack) {
      return launch(tile_statistics_kernel<P, decltype(pack)::value>, slabs, block, shared_bytes, stream, in,
                    geometry.tile, geometry.slabs, partials, notes);
    });
  }
  return with_registers(geometry, [&](auto held) {
    return launch(register_statistics_kernel<P, decltype(held)::value>, grid, block, shared_bytes, stream, in,
                  geometry.registers, partials, notes);
  });
}

template <class P>
cudaError_t launch_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                            bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const size_t shared_bytes = geometry.gradient_shared_bytes;
  if (geometry.teamed) {
    const TeamShape& shape = geometry.gradient_team;
    const dim3 blocks(static_cast<unsigned>(in.samples * shape.chunks)), threads(shape.block_warps * kWarp);
    return with_team<P>(shape, in, [&](auto held, auto dense, auto entropy) {
      return launch(team_gradient_kernel<P, decltype(held)::value, decltype(dense)::value, decltype(entropy)::value>,
                    blocks, threads, shared_bytes, stream, in, shape, slopes, pooled, out);
    });
  }
  if (geometry.tiled) {
    return with_tile<P>(geometry, [&](auto pack) {
      return launch(tile_gradient_kernel<P, decltype(pack)::value>, grid, block, shared_bytes, stream, in,
                    geometry.tile, slopes, pooled, out);
    });
  }
  return with_registers(geometry, [&](auto held) {
    return launch(register_gradient_kernel<P, decltype(held)::value>, grid, block, shared_bytes, stream, in,
                  geometry.registers, slopes, pooled, out);
  });
}

template <class P>
cudaError_t launch_target_gradient(const Geometry& geometry, const Inputs& in, const ClassSlope<Accumulator<P>>* slopes,
                                   bool pooled, const GradientOut& out, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(geometry.blocks)), block(kThreads);
  const auto kernel = geometry.pack == 1 ? tile_target_gradient_kernel<P, 1>
                                         : tile_target_gradient_kernel<P, kTilePack<Accumulator<P>>>;
  return launch(kernel, grid, block, geometry.gradient_shared_bytes, stream, in, geometry.tile, slopes, pooled, out);
}

template <class P>
cudaError_t launch_all() {
  cudaError_t status = cudaSuccess;
  Inputs in;
  const ClassSlope<Accumulator<P>>* slopes = nullptr;
  const auto launch_both = [&](const Geometry& geometry) {
    if (status == cudaSuccess) status = launch_statistics<P>(geometry, in, nullptr, Notes{}, nullptr);
    if (status == cudaSuccess) status = launch_gradient<P>(geometry, in, slopes, false, {}, nullptr);
  };
  in.samples = 1;
  Geometry geometry = {};
  geometry.blocks = geometry.slabs = 1;
  geometry.team.block_warps = geometry.gradient_team.block_warps = 1;
  geometry.gradient_team.chunks = 1;
  geometry.teamed = has_teams(sizeof(P));
  for (int held = 1; geometry.teamed && held <= kMaxTeamClasses; held++) {
    geometry.team.held = geometry.gradient_team.held = held;
    for (const bool labels : {false, true}) {
      for (const bool entropy : {false, true}) {
        in.labels = labels;
        in.cross_entropy = entropy;
        launch_both(geometry);
      }
    }
  }
  geometry.teamed = false;
  for (geometry.held = 1; geometry.held <= kMaxInRegisters; geometry.held *= 2) launch_both(geometry);
  geometry.tiled = true;
  for (geometry.pack = 1; geometry.pack <= 2; geometry.pack++) {
    launch_both(geometry);
    if (status == cudaSuccess) status = launch_target_gradient<P>(geometry, in, slopes, false, {}, nullptr);
  }
  return status;
}

/// Compiles all kernels of predictions of type P.
#define WARPDICE_KERNELS_OF(P)                                                                                      \
  template cudaError_t launch_statistics<P>(const Geometry&, const Inputs&, Sums*, const Notes&, cudaStream_t);     \
  template cudaError_t launch_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, bool,  \
                                          const GradientOut&, cudaStream_t);                                        \
  template cudaError_t launch_target_gradient<P>(const Geometry&, const Inputs&, const ClassSlope<Accumulator<P>>*, \
                                                 bool, const GradientOut&, cudaStream_t);                           \
  template cudaError_t launch_all<P>()

}  // namespace warpdice::cuda
