#include "cuda/geometry.h"

namespace warpdice::cuda {
namespace {

/// Fewer blocks would leave parts of a large GPU idle; more would write more partial sums.
constexpr int64_t kEnoughBlocks = 512;

/// The kernels count classes in an int, with room for small multiples.
constexpr int64_t kMaxClasses = 1 << 24;

constexpr const char* kTooManyClasses = "So many classes do not fit the shared memory of every GPU.";

/// Whether the classes of a voxel lie beside each other. Of a single voxel they do in both layouts.
bool is_interleaved(const Inputs& in) { return in.classes > 1 && (in.channels_last || in.voxels == 1); }

/// What only tile.cuh knows: elsewhere its code would take registers of every call.
bool is_rare(const Inputs& in) { return in.class_weight.data || in.positive_weight.factors || in.focal_alpha.factors; }

/// Calls whose loss and target team.cuh knows. The other kernels know them all.
bool is_teamed(const Inputs& in) {
  return in.overlap == Overlap::product && !in.uniform && !in.focal && !is_rare(in) &&
         has_teams(size_of(in.predictions.dtype)) && in.classes <= kMaxTeamClasses * kThreads;
}

bool is_tiled(const Inputs& in) {
  const bool needs_all_classes = in.activation == Activation::softmax && in.classes > kMaxInRegisters;
  return needs_all_classes || is_rare(in) || in.overlap == Overlap::wasserstein || is_interleaved(in);
}

size_t computed_bytes(const Inputs& in) { return in.predictions.dtype == DType::float64 ? 8 : 4; }

/// Whether lanes share the voxels of a thread while they exchange numbers (Team::over_team()).
bool lanes_share(const TeamShape& shape, bool gradient, int voxels) {
  const bool few = gradient && shape.warps > 1 && shape.lanes == kFewSharingLanes && voxels == kFewSharingLanes;
  return few || shape.lanes >= kMaxTeamVoxels;
}

/// About how many instructions a thread takes for eight voxels, from counts of sm_90's.
int team_cost(const TeamShape& shape, bool gradient, int voxels) {
  // Without exchanges, for one voxel, by the classes of a thread.
  constexpr int kOwn[][kMaxTeamClasses + 1] = {{0, 23, 41, 51, 69, 85}, {0, 25, 33, 60, 72, 86}};
  int exchange = shape.lane_bits * 3 * voxels + (shape.warps > 1 ? shape.warps * 3 * voxels / 2 : 0);
  if (lanes_share(shape, gradient, voxels)) {
    const int more_steps = shape.lane_bits - (voxels == 8 ? 3 : 2);  // after those that share the voxels
    exchange = 5 * voxels + 4 * more_steps + (shape.warps > 1 ? 2 + 4 * shape.warps : 0);
  }
  return 8 * kOwn[gradient][shape.held] + (gradient ? 3 : 2) * exchange * 8 / voxels;
}

/// The warps of a block of whole teams: as many as let the most warps fit a multiprocessor; of several such numbers,
/// the largest.
int block_warps_of(int team_warps) {
  constexpr int kFit = 2 * kWarps;  // two blocks of the most threads, by their registers
  int best = team_warps;
  for (int warps = team_warps; warps <= kWarps; warps += team_warps) {
    if (kFit / warps * warps >= kFit / best * best) best = warps;
  }
  return best;
}

/// Chooses the threads that share the classes of a voxel, and their classes.
TeamShape shape_of(const Inputs& in, bool gradient) {
  constexpr int kNearLanes = 16;  // two neighbouring teams still read whole sectors of 32 bytes
  const int C = static_cast<int>(in.classes);
  const bool interleaved = is_interleaved(in), few_sums = in.labels && !in.cross_entropy;
  TeamShape best = {};
  int64_t least = 0;
  TeamShape shape = {};
  shape.interleaved = interleaved;
  for (shape.lane_bits = 0; 1 << shape.lane_bits <= kWarp; shape.lane_bits++) {
    shape.lanes = 1 << shape.lane_bits;
    for (shape.warps = 1; shape.warps <= kWarps; shape.warps++) {
      const int team = shape.lanes * shape.warps;
      if (team * kMaxTeamClasses < C || (team > 1 && team >= C)) continue;  // a thread has two classes if there are
      shape.held = (C + team - 1) / team;
      const int voxels = gradient ? gradient_voxels(4, shape.held) : statistics_voxels(4, shape.held, few_sums);
      // Classes that lie beside each other are read by as many neighbouring lanes as a warp has. Of others that need
      // more than near lanes, the first team that can hold them, or a cheaper one whose threads read whole sectors.
      const bool near = shape.lanes <= kNearLanes || voxels == 8;
      const bool far = best.held > 0 && (interleaved || !near);
      const bool apart = interleaved && shape.warps > 1 && (shape.lanes < kWarp || (shape.warps & (shape.warps - 1)));
      // Fewer lanes than voxels exchange numbers with two or four other warps: Team::over_team() knows no others.
      const bool unknown = shape.lanes < kMaxTeamVoxels && shape.warps != 1 && shape.warps != 3 && shape.warps != 5;
      if (far || apart || unknown) continue;
      const int64_t cost = int64_t{team} * team_cost(shape, gradient, voxels);
      if (best.held > 0 && cost >= least) continue;
      best = shape;
      least = cost;
    }
  }
  best.inverse_warps = ((1 << 16) + best.warps - 1) / best.warps;
  best.block_warps = block_warps_of(best.warps);
  best.least = C / (best.lanes * best.warps);
  best.more = C % (best.lanes * best.warps);
  return best;
}

/// The shape of a step whose threads take so many neighbouring voxels. exchanges: of numbers of a voxel between warps.
/// Returns the bytes of shared memory for these.
size_t set_team(const Inputs& in, int voxels, int exchanges, TeamShape& shape) {
  // Blocks for all multiprocessors of a GPU, two of the most warps at a time: more would do less work between their
  // beginning and end.
  const int64_t enough = 256 * kWarps / shape.block_warps;
  constexpr int kMaxVoxels = 128;  // of a thread, whose sums are of type A
  shape.voxels = shape.block_warps / shape.warps * (kWarp / shape.lanes) * voxels;
  int rounds = kMaxVoxels / voxels;
  const auto chunks = [&] {
    shape.chunk = int64_t{rounds} * shape.voxels;
    return (in.voxels + shape.chunk - 1) / shape.chunk;
  };
  while (rounds > 1 && in.samples * chunks() < enough) rounds /= 2;
  shape.chunks = chunks();
  return shape.warps > 1 ? static_cast<size_t>(exchanges * kThreads * voxels) * computed_bytes(in) : 0;
}

void set_teams(const Inputs& in, Geometry& geometry) {
  const size_t element_bytes = size_of(in.predictions.dtype);
  TeamShape &shape = geometry.team, &gradient = geometry.gradient_team;
  shape = shape_of(in, false);
  gradient = shape_of(in, true);
  const int voxels = statistics_voxels(element_bytes, shape.held, in.labels && !in.cross_entropy);
  const size_t exchange = set_team(in, voxels, 2, shape);
  geometry.gradient_shared_bytes = set_team(in, cuda::gradient_voxels(element_bytes, gradient.held), 3, gradient);
  geometry.chunks = shape.chunks;
  geometry.blocks = in.samples * shape.chunks;
  geometry.slabs = 1;
  const int kinds = in.labels ? (in.cross_entropy ? 4 : 3) : 5;  // of sums of a class
  const size_t sums = static_cast<size_t>((shape.held * kinds + 1) * kThreads) * computed_bytes(in);
  geometry.statistics_shared_bytes = exchange > sums ? exchange : sums;
}

void set_registers(const Inputs& in, Geometry& geometry) {
  constexpr int most = kMaxInRegisters;
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

int tile_pack(const Inputs& in) {
  return in.predictions.dtype == DType::float64 ? kTilePack<double> : kTilePack<float>;
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
    geometry.pack = voxels >= kWarp ? tile_pack(in) : 1;
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
  geometry.slabs = static_cast<int>((in.classes + kThreads - 1) / kThreads);
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
const char* refusal(const Geometry& geometry, int64_t samples) {
  if (geometry.gradient_shared_bytes > kMaxSharedBytes) return kTooManyClasses;
  if (geometry.blocks * geometry.slabs > kMaxBlocks || geometry.gradient_team.chunks * samples > kMaxBlocks) {
    return kTooManyBlocks;
  }
  return nullptr;
}

Geometry make_geometry(const Inputs& in, bool teamed, bool tiled) {
  Geometry geometry = {};
  geometry.teamed = teamed;
  geometry.tiled = tiled;
  geometry.refused = in.classes > kMaxClasses ? kTooManyClasses : nullptr;
  if (geometry.refused) return geometry;
  if (geometry.teamed) set_teams(in, geometry);
  else if (tiled) set_tiles(in, geometry);
  else set_registers(in, geometry);
  geometry.refused = refusal(geometry, in.samples);
  return geometry;
}

}  // namespace

Geometry geometry_of(const Inputs& in) { return make_geometry(in, is_teamed(in), is_tiled(in)); }

Geometry target_geometry_of(const Inputs& in) { return make_geometry(in, false, true); }

}  // namespace warpdice::cuda
