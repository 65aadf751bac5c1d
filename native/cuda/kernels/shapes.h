#pragma once
// How the threads of a kernel share a tensor: the numbers that geometry.cc chooses and that the kernels read.
#include "math/types.h"

namespace warpdice::cuda {

constexpr int kWarpLog2 = 5, kWarp = 1 << kWarpLog2, kThreadsLog2 = 8, kThreads = 1 << kThreadsLog2;
constexpr int kWarps = kThreads / kWarp;  // of a block, at most in team.cuh

/// The shared memory that a block can have on every supported GPU.
constexpr size_t kMaxSharedBytes = 63 * 1024;

constexpr int64_t kMaxBlocks = 0x7fffffff;  // of a grid
constexpr const char* kTooManyBlocks = "More than 2^31 - 1 blocks do not fit a CUDA grid.";

// --- team.cuh ---------------------------------------------------------------------------------------------

/// Whether predictions have these kernels. float64 does without: they would be a tenth of the binary.
constexpr bool has_teams(size_t element_bytes) { return element_bytes < 8; }

/// The most classes of a thread, and the most neighbouring voxels of one that has several.
constexpr int kMaxTeamClasses = 5, kMaxTeamVoxels = 8;

/// In step 3, so many lanes of several warps share the voxels of a thread while they exchange numbers, if these are as
/// many. So do kMaxTeamVoxels and more lanes in both steps. That takes fewer instructions.
constexpr int kFewSharingLanes = 4;

/// Neighbouring voxels of a thread that holds so many classes, in step 1 and in step 3: fewer where it would run out of
/// registers. Of one class in half precision 16, or too few bytes would be on their way.
constexpr int statistics_voxels(size_t element_bytes, int classes, bool few_sums) {
  if (element_bytes == 2 && classes == 1 && few_sums) return 16;
  return classes <= (few_sums ? 4 : 2) ? 8 : 4;
}
constexpr int gradient_voxels(size_t element_bytes, int classes) {
  if (element_bytes == 2 && classes == 1) return 16;
  return classes <= 2 ? 8 : 4;
}

struct TeamShape {
  int held;           // the most classes of a thread; 1 only where there is one class
  int lanes, warps;   // that share the classes of a voxel
  int lane_bits;      // lanes is 2^lane_bits
  int inverse_warps;  // 2^16 / warps, rounded up: a small number x divided by warps is x*inverse_warps / 2^16
  int block_warps;    // of a block: whole teams, see block_warps_of()
  bool interleaved;   // [N,S,C]: every thread has `held` classes, as long as there are some
  int least, more;    // else: every thread has `least` classes, and the first `more` of a team have one more
  int voxels;         // that the teams of a block take in a round
  int64_t chunk;      // voxels of a block
  int64_t chunks;     // blocks of a sample
};

// --- register.cuh -----------------------------------------------------------------------------------------

/// The most classes of a slab. With more of them a thread would run out of registers.
constexpr int kMaxInRegisters = 4;

/// The most voxels of one thread. With the most classes in registers (fullest) there is no room for sums in double, and
/// a sum in float can only take so many numbers.
constexpr int kMaxVoxels(bool fullest) { return fullest ? 16 : 64; }

struct RegisterShape {
  int64_t chunk;   // voxels of a block, at most kMaxVoxels * kThreads
  int64_t chunks;  // blocks of a sample and slab
  int slabs;       // groups of neighbouring classes, as many as a thread's registers hold
};

// --- tile.cuh ---------------------------------------------------------------------------------------------

/// Neighbouring voxels of a class that a thread reads from the tile at once.
template <class A>
constexpr int kTilePack = sizeof(A) == 8 ? 1 : 16 / sizeof(A);

struct TileShape {
  int voxels;                      // of a tile, a power of two
  int class_stride, voxel_stride;  // of its logits, in elements; of a head, see Blocks in head_product.cuh
  int team;                        // lanes that share a voxel, a power of two up to kWarp
  bool interleaved;                // [N,S,C]
  int tiles;                       // of a block
  int64_t chunks;                  // blocks of a sample and slab
};

/// What the classes of a voxel share, in shared memory. A thread reads the first four members at once.
template <class A>
struct alignas(16) TileVoxel {
  A largest, inverse, weight;
  int class_index;
  A log_sum;
};

// --- both -------------------------------------------------------------------------------------------------

struct Geometry {
  const char* refused;  // null; else a sentence that says why no GPU can do this, and the other members have no meaning
  bool teamed;          // team.cuh
  bool tiled;           // else: tile.cuh instead of register.cuh
  int held;             // classes that a thread's registers hold in register.cuh: 1, 2 or 4
  int pack;             // voxels that a thread reads from a tile at once
  int64_t chunks;       // partial sums of a sample and class
  int64_t blocks;       // of step 1, and without those for each slab of step 3
  int slabs;            // of tile.cuh
  size_t statistics_shared_bytes, gradient_shared_bytes;
  TeamShape team, gradient_team;  // for steps 1 and 3
  RegisterShape registers;
  TileShape tile;
};

}  // namespace warpdice::cuda
