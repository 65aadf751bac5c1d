#pragma once
// How large a tile is, where its arrays lie, and which SIMD target works on it. All this follows from the shape, the
// dtypes and the options of a call, so that a thread takes little memory and any number of threads gives the same bits.
#include "cpu/kernels/kernels.h"
#include "math/call.h"

namespace warpdice::cpu::head {

/// Where more would be needed, a tile has fewer voxels, then shorter vectors. With the shortest ones every call fits.
constexpr size_t kMaxTileBytes = 1'750'000;

/// The most voxels of a tile.
constexpr int64_t kMaxTileVoxels = 1024;

/// With so many classes the weight's gradient is summed along the rows of the features. With more it is quicker to turn
/// the features around, so that those of a voxel share a vector. Measured on a Xeon with AVX-512 and with AVX2, for 32
/// to 1024 features: with up to 24 classes rows took 0.5 to 1.1 times the time, with 48 and more as long or longer.
constexpr int64_t kFewClasses = 24;
inline bool has_few_classes(const Inputs& in) { return in.classes <= kFewClasses; }

struct TileSize {
  int64_t voxels;  // of a whole tile
  int64_t stride;  // elements from row to row
  // Where the arrays begin, in bytes.
  size_t logits, target, target_grad, class_weight;  // [C][stride]
  size_t features;                                   // [K][stride]
  size_t transposed;                                 // [voxels][K], and a line; not with few classes
  size_t waiting;                                    // [K], of a cache line; with few terms only
  size_t sums;                                       // [C]
  size_t tile_bytes;                                 // of all of them
  size_t pass_bytes;                                 // what the passes and the conversions reserve

  size_t bytes() const { return tile_bytes + pass_bytes; }
};

/// vector_bytes: of the SIMD target.
TileSize tile_size(const Call& call, int vector_bytes);

/// The target with the longest vectors with which a tile takes at most kMaxTileBytes.
const Kernels& tile_kernels(const Call& call);

}  // namespace warpdice::cpu::head
