#include "cpu/head/predict.h"

#include <limits>

#include "cpu/head/tiles.h"

namespace warpdice::cpu::head {
namespace {

/// The class of the largest logit of each voxel.
template <class T, class Label>
void write_argmax(const Tile<T>& tile, int64_t classes, int64_t count, Label* to) {
  constexpr int64_t kAtOnce = 128;
  for (int64_t first = 0; first < count; first += kAtOnce) {
    const int64_t some = std::min(kAtOnce, count - first);
    const T* const logits = tile.logits() + first;
    T largest[kAtOnce];
    int32_t best[kAtOnce];
    for (int64_t v = 0; v < some; v++) {
      const bool number = logits[v] == logits[v];
      largest[v] = number ? logits[v] : -std::numeric_limits<T>::infinity();
      best[v] = 0;
    }
    for (int64_t c = 1; c < classes; c++) {
      const T* const row = logits + c * tile.stride();
      for (int64_t v = 0; v < some; v++) {
        best[v] = row[v] > largest[v] ? static_cast<int32_t>(c) : best[v];
        largest[v] = row[v] > largest[v] ? row[v] : largest[v];
      }
    }
    for (int64_t v = 0; v < some; v++) to[first + v] = static_cast<Label>(best[v]);
  }
}

/// Writes what is predicted for the tile that begins at voxel s of sample n.
template <class T>
void write(const Prediction& prediction, Tile<T>& tile, int64_t n, int64_t s, int64_t count) {
  const Inputs& in = prediction.call.in;
  const int64_t S = in.voxels, some = static_cast<int64_t>(prediction.classes.size());
  if (some == 0) {
    if (prediction.dtype == DType::uint8) {
      write_argmax(tile, in.classes, count, static_cast<uint8_t*>(prediction.out) + n * S + s);
    } else {
      write_argmax(tile, in.classes, count, static_cast<uint16_t*>(prediction.out) + n * S + s);
    }
    return;
  }
  tile.make_probabilities();
  for (int64_t i = 0; i < some; i++) {
    const T* const row = tile.logits() + prediction.classes[static_cast<size_t>(i)] * tile.stride();
    T* const to =
        static_cast<T*>(prediction.out) + (in.channels_last ? (n * S + s) * some + i : (n * some + i) * S + s);
    for (int64_t v = 0; v < count; v++) to[in.channels_last ? v * some : v] = row[v];
  }
}

}  // namespace

void predict(const Prediction& prediction) {
  const Call& call = prediction.call;
  with_weights(call, [&](const auto& weights) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(weights.weight)>>;
    const Partition partition = partition_of(call.in);
    Pool::instance().parallel_for(partition.runs, partition.grain, [&](int64_t i) {
      const Run run = partition.run(call.in, i);
      Tile<T> tile(call, weights);
      for_tiles(tile, run, false, [&](int64_t s, int64_t count) { write(prediction, tile, run.n, s, count); });
    });
  });
}

}  // namespace warpdice::cpu::head
