#pragma once
// What all calls with a head share: their weights in the type of the computation, and the tiles of a batch.
#include <algorithm>

#include "cpu/head/tile.h"
#include "cpu/memory/workspace.h"
#include "cpu/partition.h"
#include "cpu/pool.h"

namespace warpdice::cpu::head {

/// Runs by the shape of one sample.
inline Partition partition_of(const Inputs& in) {
  constexpr int64_t kMinElements = 32768, kMaxRuns = 64;
  return {in, kMinElements, kMaxRuns};
}

template <class Element>
Element* reserve(Workspace& workspace, int64_t count) {
  if (count == 0) return nullptr;
  return static_cast<Element*>(workspace.reserve(static_cast<size_t>(count) * sizeof(Element)));
}

/// `operand` as T: itself, or a copy.
template <class T>
const T* in_type(const Operand& operand, int64_t count, Workspace& memory) {
  if (!operand.data) return nullptr;
  if (operand.dtype == (sizeof(T) == 8 ? DType::float64 : DType::float32)) return static_cast<const T*>(operand.data);
  T* copy = reserve<T>(memory, count + kRunAlignment);
  products<T>().load(operand, {1, count, false}, {0, 0, static_cast<int>(count)}, copy, 0, nullptr);
  return copy;
}

/// Returns visit(Weights<T>) with the weights of the call's head; T is double for float64 features, else float.
template <class Visit>
auto with_weights(const Call& call, Visit visit) {
  static thread_local Workspace of_weight, of_bias;
  const TrimmedAtEnd trimmed(of_weight), also_trimmed(of_bias);
  const int64_t C = call.in.classes, K = call.head.channels;
  const auto as = [&](auto element) {
    using T = decltype(element);
    return visit(Weights<T>{in_type<T>(call.head.weight, C * K, of_weight), in_type<T>(call.head.bias, C, of_bias)});
  };
  return call.in.predictions.dtype == DType::float64 ? as(double{}) : as(float{});
}

/// Makes the logits of a run tile by tile. visit(s, count) after each. needs_features: so does it.
template <class T, class Visit>
void for_tiles(Tile<T>& tile, const Run& run, bool needs_features, Visit visit) {
  for (int64_t s = run.begin; s < run.end; s += tile.voxels()) {
    const int64_t count = std::min(tile.voxels(), run.end - s);
    tile.make_logits(run.n, s, static_cast<int>(count), needs_features);
    visit(s, count);
  }
}

}  // namespace warpdice::cpu::head
