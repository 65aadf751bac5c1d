#include "cuda/geometry.h"

namespace warpdice::cuda {
namespace {

/// Fewer blocks would leave parts of a large GPU idle; more would write more partial sums.
constexpr int64_t kEnoughBlocks = 512;

/// The kernels count classes in an int, with room for small multiples.
constexpr int64_t kMaxClasses = 1 << 24;

constexpr const char* kTooManyClasses = "So many classes do not fit the shared memory of every GPU.";

bool needs_every_term(const Inputs& in) { return !in.labels || !in.plain() || in.cross_entropy || in.uniform; }

/// Whether the classes of a voxel lie beside each other. Of a single voxel they do in both layouts.
bool is_interleaved(const Inputs& in) { return in.classes > 1 && (in.channels_last || in.voxels == 1); }

int max_in_registers(const Inputs& in) { return needs_every_term(in) ? kMaxInRegisters<true> : kMaxInRegisters<false>; }

bool is_tiled(const Inputs& in) {
  const bool needs_all_classes = in.activation == Activation::softmax && in.classes > max_in_registers(in);
  // What is rare has no code in register.cuh, where it would take registers of every call.
  const bool rare = in.class_weight.data || in.positive_weight.factors || in.focal_alpha.factors;
  return needs_all_classes || rare || in.overlap == Overlap::wasserstein || is_interleaved(in);
}

size_t computed_bytes(const Inputs& in) { return in.predictions.dtype == DType::float64 ? 8 : 4; }

void set_registers(const Inputs& in, Geometry& geometry) {
  const int most = max_in_registers(in);
  geometry.held = 1;
  while (geometry.held < most && geometry.held < in.classes) geometry.held *= 2;
  RegisterShape& shape = geometry.registers;
  shape.slabs = static_cast<int>((in.classes + geometry.held - 1) / geometry.held);
  constexpr int64_t kMinChunk = 4 * kThreads;
  shape.chunk = kThreads * kMaxVoxels(geometry.held == most);
  const auto blocks = [&] { return in.samples * shape.slabs * ((in.voxels + shape.chunk - 1) / shape.chunk); };
  while (shape.chunk > kMinChunk && blocks() < kEnoughBlocks) shape.chunk /= 2;
  geometry.chunks = shape.chunks = (in.voxels + shape.chunk - 1) / shape.chunk;
  geometry.blocks = blocks();
  geometry.slabs = 1;
  geometry.statistics_shared_bytes = static_cast<size_t>(kWarps * geometry.held) * sizeof(Sums);
  geometry.gradient_shared_bytes = 0;
}

int tile_pack(const Inputs& in, bool every_term) {
  if (in.predictions.dtype == DType::float64) return every_term ? kTilePack<double, true> : kTilePack<double, false>;
  return every_term ? kTilePack<float, true> : kTilePack<float, false>;
}

/// Gives the tile this many voxels. Returns the bytes of shared memory that it then takes.
size_t set_tile_voxels(const Inputs& in, int voxels, Geometry& geometry) {
  const int C = static_cast<int>(in.classes);
  TileShape& shape = geometry.tile;
  shape.interleaved = is_interleaved(in);
  shape.voxels = voxels;
  geometry.pack = 1;
  if (shape.interleaved) {
    // The stride between voxels must not be a multiple of eight elements, or the lanes of a team would read the same
    // bank.
    shape.class_stride = 1;
    shape.voxel_stride = C % 8 == 0 ? C + 4 : C;
  } else {
    // The same holds for the stride between classes, which must be a multiple of the pack.
    geometry.pack = voxels >= kWarp ? tile_pack(in, geometry.every_term) : 1;
    shape.class_stride = voxels + geometry.pack;
    shape.voxel_stride = 1;
  }
  shape.team = kThreads / (voxels / geometry.pack) < kWarp ? kThreads / (voxels / geometry.pack) : kWarp;
  const size_t elements = shape.interleaved ? static_cast<size_t>(voxels) * shape.voxel_stride
                                            : static_cast<size_t>(C) * shape.class_stride;
  const size_t voxel_bytes = computed_bytes(in) == 8 ? sizeof(TileVoxel<double>) : sizeof(TileVoxel<float>);
  return static_cast<size_t>(voxels) * voxel_bytes + elements * computed_bytes(in);
}

void set_tiles(const Inputs& in, Geometry& geometry) {
  // With the preferred size every GPU runs two blocks or more at a time. Where that would make tiles too narrow, they
  // may take all that the oldest GPU has.
  constexpr size_t kPreferredBytes = 46 * 1024;
  constexpr int kMaxVoxels = 128, kNarrow = 32;
  int voxels = kMaxVoxels;
  const auto too_many = [&] {
    return set_tile_voxels(in, voxels, geometry) > (voxels > kNarrow / 2 ? kPreferredBytes : kMaxSharedBytes);
  };
  while (voxels > 1 && too_many()) voxels /= 2;
  TileShape& shape = geometry.tile;
  const int slab = kThreads * (geometry.every_term ? kSlots<true> : kSlots<false>);
  geometry.slabs = static_cast<int>((in.classes + slab - 1) / slab);
  const int64_t tiles = (in.voxels + voxels - 1) / voxels;
  shape.tiles = 16;
  while (shape.tiles > 1 && in.samples * (tiles / shape.tiles) < kEnoughBlocks) shape.tiles /= 2;
  geometry.chunks = shape.chunks = (tiles + shape.tiles - 1) / shape.tiles;
  geometry.blocks = in.samples * shape.chunks;
  const size_t bytes = geometry.gradient_shared_bytes = set_tile_voxels(in, voxels, geometry);
  const size_t exchange = 2 * in.classes <= kThreads ? kThreads * sizeof(Sums) : 0;
  geometry.statistics_shared_bytes = exchange > bytes ? exchange : bytes;
}

/// Why no GPU can launch this; null when they can.
const char* refusal(const Geometry& geometry) {
  if (geometry.gradient_shared_bytes > kMaxSharedBytes) return kTooManyClasses;
  if (geometry.blocks * geometry.slabs > kMaxBlocks) return kTooManyBlocks;
  return nullptr;
}

Geometry make_geometry(const Inputs& in, bool every_term, bool tiled) {
  Geometry geometry = {};
  geometry.every_term = every_term;
  geometry.tiled = tiled;
  geometry.refused = in.classes > kMaxClasses ? kTooManyClasses : nullptr;
  if (geometry.refused) return geometry;
  if (tiled) set_tiles(in, geometry);
  else set_registers(in, geometry);
  geometry.refused = refusal(geometry);
  return geometry;
}

}  // namespace

Geometry geometry_of(const Inputs& in) { return make_geometry(in, needs_every_term(in), is_tiled(in)); }

Geometry target_geometry_of(const Inputs& in) { return make_geometry(in, true, true); }

}  // namespace warpdice::cuda
