#include "cpu/head/count.h"

#include "cpu/head/tiles.h"

namespace warpdice::cpu::head {

CountFaults count(const CountInputs& inputs, const Head& head, Counts& counts) {
  Call call;
  call.steps = kStatistics;  // which read the target too
  call.in = inputs.in;
  call.head = head;
  return with_weights(call, [&](const auto& weights) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(weights.weight)>>;
    return count_runs(inputs, counts, [&](const Run& run, const AddCounts& add) {
      CountFaults faults;
      Tile<T> tile(call, weights);
      for_tiles(tile, run, false, [&](int64_t, int64_t) {
        faults.add(for_each_threshold(inputs, counts.kind(), [&](const CountInputs& one, int64_t first_cell) {
          RunCounts counted;
          const CountFaults found = tile.count(one, counted);
          add(counted, first_cell);
          return found;
        }));
      });
      return faults;
    });
  });
}

}  // namespace warpdice::cpu::head
