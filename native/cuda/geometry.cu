#include "cuda/geometry.h"

namespace warpdice::cuda {
namespace {

// Fewer blocks leave a large GPU idle; more of them than needed write more partial sums.
constexpr int64_t kEnoughBlocks = 512;

// What every supported GPU gives to a block that asks for it.
constexpr size_t kMostTileBytes = 63 * 1024;

// The kernels count classes by int, with room for what is beside them.
constexpr int64_t kMostClasses = 1 << 24;

constexpr const char* kTooManyClasses = "So many classes do not fit the shared memory of every GPU.";

bool is_full(const Inputs& in) {
  return !in.labels || in.overlap != Overlap::product || in.cross_entropy || in.uniform || in.focal;
}

/// One voxel's classes lie beside each other in both layouts.
bool is_interleaved(const Inputs& in) { return in.classes > 1 && (in.channels_last || in.voxels == 1); }

int most_in_registers(const Inputs& in) { return is_full(in) ? kMostInRegisters<true> : kMostInRegisters<false>; }

bool is_tiled(const Inputs& in) {
  const bool needs_all = in.activation == Activation::softmax && in.classes > most_in_registers(in);
  return needs_all || in.overlap == Overlap::wasserstein || is_interleaved(in);
}

size_t computed_bytes(const Inputs& in) { return in.predictions.dtype == DType::float64 ? 8 : 4; }

void share_registers(const Inputs& in, Geometry& it) {
  const int most = most_in_registers(in);
  it.held = 1;
  while (it.held < most && it.held < in.classes) it.held *= 2;
  RegisterShape& shape = it.registers;
  shape.slabs = static_cast<int>((in.classes + it.held - 1) / it.held);
  constexpr int64_t kLeast = 4 * kThreads;
  shape.chunk = kThreads * kMostVoxels(it.held == most);
  const auto blocks = [&] { return in.samples * shape.slabs * ((in.voxels + shape.chunk - 1) / shape.chunk); };
  while (shape.chunk > kLeast && blocks() < kEnoughBlocks) shape.chunk /= 2;
  it.chunks = shape.chunks = (in.voxels + shape.chunk - 1) / shape.chunk;
  it.blocks = blocks();
  it.slabs = 1;
  it.statistics_shared_bytes = static_cast<size_t>(kWarps * it.held) * sizeof(Sums);
  it.gradient_shared_bytes = 0;
}

int most_in_pack(const Inputs& in, bool full) {
  if (in.predictions.dtype == DType::float64) return full ? kTilePack<double, true> : kTilePack<double, false>;
  return full ? kTilePack<float, true> : kTilePack<float, false>;
}

/// Sets the tile to this many voxels; returns the bytes it then takes.
size_t set_tile_voxels(const Inputs& in, int voxels, Geometry& it) {
  const int C = static_cast<int>(in.classes);
  TileShape& shape = it.tile;
  shape.interleaved = is_interleaved(in);
  shape.voxels = voxels;
  it.pack = 1;
  if (shape.interleaved) {
    // The stride between voxels must not be a multiple of eight elements: a team's lanes would meet in one bank.
    shape.class_stride = 1, shape.voxel_stride = C % 8 == 0 ? C + 4 : C;
  } else {
    // Likewise between classes; while packs are read it stays a multiple of the pack.
    it.pack = voxels >= kWarp ? most_in_pack(in, it.full) : 1;
    shape.class_stride = voxels + it.pack, shape.voxel_stride = 1;
  }
  shape.team = kThreads / (voxels / it.pack) < kWarp ? kThreads / (voxels / it.pack) : kWarp;
  const size_t elements = shape.interleaved ? static_cast<size_t>(voxels) * shape.voxel_stride
                                            : static_cast<size_t>(C) * shape.class_stride;
  const size_t voxel_bytes = computed_bytes(in) == 8 ? sizeof(TileVoxel<double>) : sizeof(TileVoxel<float>);
  return static_cast<size_t>(voxels) * voxel_bytes + elements * computed_bytes(in);
}

void share_tiles(const Inputs& in, Geometry& it) {
  // Two blocks or more at a time on every GPU; where that makes tiles too narrow, what the oldest of them allows.
  constexpr size_t kPreferredBytes = 46 * 1024;
  constexpr int kMostVoxels = 128, kNarrow = 32;
  int voxels = kMostVoxels;
  const auto too_many = [&] {
    return set_tile_voxels(in, voxels, it) > (voxels > kNarrow / 2 ? kPreferredBytes : kMostTileBytes);
  };
  while (voxels > 1 && too_many()) voxels /= 2;
  TileShape& shape = it.tile;
  const int slab = kThreads * (it.full ? kSlots<true> : kSlots<false>);
  it.slabs = static_cast<int>((in.classes + slab - 1) / slab);
  const int64_t tiles = (in.voxels + voxels - 1) / voxels;
  shape.tiles = 16;
  while (shape.tiles > 1 && in.samples * (tiles / shape.tiles) < kEnoughBlocks) shape.tiles /= 2;
  it.chunks = shape.chunks = (tiles + shape.tiles - 1) / shape.tiles;
  it.blocks = in.samples * shape.chunks;
  const size_t bytes = it.gradient_shared_bytes = set_tile_voxels(in, voxels, it);
  const size_t exchange = 2 * in.classes <= kThreads ? kThreads * sizeof(Sums) : 0;
  it.statistics_shared_bytes = exchange > bytes ? exchange : bytes;
}

/// What a GPU cannot launch.
const char* refusal(const Geometry& it) {
  if (it.gradient_shared_bytes > kMostTileBytes) return kTooManyClasses;
  if (it.blocks * it.slabs > kMostBlocks) return kTooManyBlocks;
  return nullptr;
}

Geometry share(const Inputs& in, bool full, bool tiled) {
  Geometry it = {};
  it.full = full;
  it.tiled = tiled;
  it.refused = in.classes > kMostClasses ? kTooManyClasses : nullptr;
  if (it.refused) return it;
  if (tiled) share_tiles(in, it);
  else share_registers(in, it);
  it.refused = refusal(it);
  return it;
}

}  // namespace

Geometry geometry_of(const Inputs& in) { return share(in, is_full(in), is_tiled(in)); }

Geometry target_geometry_of(const Inputs& in) { return share(in, true, true); }

}  // namespace warpdice::cuda
