#include "cpu/head/tile_size.h"

#include <algorithm>

namespace warpdice::cpu::head {
namespace {

constexpr int64_t kLineBytes = 64;

int64_t element_bytes_of(const Call& call) { return call.in.predictions.dtype == DType::float64 ? 8 : 4; }

size_t pass_bytes(const Call& call, int vector_bytes) {
  const Inputs& in = call.in;
  const bool every_term = !in.plain() || call.steps & kTargetGradient;
  // A conversion holds a step of what is channels last.
  const int64_t converted = in.channels_last ? std::max(in.classes, call.head.channels) : 0;
  return std::max(run_bytes(in, every_term, vector_bytes), step_bytes(converted, vector_bytes));
}

TileSize place(const Call& call, int vector_bytes, int64_t voxels) {
  const Inputs& in = call.in;
  const int64_t C = in.classes, K = call.head.channels, element_bytes = element_bytes_of(call);
  const int64_t step = kStepVectors * vector_bytes / element_bytes;
  TileSize size = {};
  size.voxels = voxels;
  // A line more, so that the rows fall into different cache sets; those of one step do without.
  size.stride = voxels + (voxels > step ? kLineBytes / element_bytes : 0);
  const auto take = [&](bool needed, int64_t bytes) {
    const size_t begin = size.tile_bytes;
    size.tile_bytes += needed ? static_cast<size_t>((bytes + kLineBytes - 1) / kLineBytes * kLineBytes) : 0;
    return begin;
  };
  const int64_t row_bytes = size.stride * element_bytes;
  size.logits = take(true, C * row_bytes);
  size.features = take(true, K * row_bytes);
  size.transposed = take(call.head.weight_grad.data && !has_few_classes(in), K * voxels * element_bytes + kLineBytes);
  size.target = take(call.reads() && !in.labels, C * row_bytes);
  size.target_grad = take(call.steps & kTargetGradient, C * row_bytes);
  size.class_weight = take(call.reads() && in.class_weight.data, C * row_bytes);
  size.waiting = take(call.steps & kGradient && C <= kFewTerms, K * kLineBytes);
  size.sums = take(true, C * static_cast<int64_t>(sizeof(Sums)));
  size.pass_bytes = pass_bytes(call, vector_bytes);
  return size;
}

}  // namespace

TileSize tile_size(const Call& call, int vector_bytes) {
  // The logits fill a part of the L2 cache.
  constexpr int64_t kTileBytes = 256 << 10, kAllBytes = 1 << 20;
  const int64_t element_bytes = element_bytes_of(call), step = kStepVectors * vector_bytes / element_bytes;
  const int64_t fit = kTileBytes / (element_bytes * std::max(call.in.classes, call.head.channels));
  const int64_t unit = fit < kRunAlignment ? step : kRunAlignment;
  int64_t voxels = std::clamp(fit / unit * unit, step, kMaxTileVoxels);
  TileSize size = place(call, vector_bytes, voxels);
  while (voxels > step && (size.tile_bytes > kAllBytes || size.bytes() > kMaxTileBytes)) {
    voxels -= voxels > kRunAlignment ? kRunAlignment : step;
    size = place(call, vector_bytes, voxels);
  }
  return size;
}

const Kernels& tile_kernels(const Call& call) {
  const Kernels* target = &kernels();
  while (tile_size(call, target->vector_bytes).bytes() > kMaxTileBytes) {
    const Kernels* const shorter = shorter_vectors(*target);
    if (!shorter) break;
    target = shorter;
  }
  return *target;
}

}  // namespace warpdice::cpu::head
