// The steps of a call with a head. Steps 1 and 3 each compute the logits of a tile of voxels, use them and forget them.
#include "cpu/head/run.h"

#include <algorithm>
#include <cstring>

#include "cpu/engine.h"
#include "cpu/head/tiles.h"

namespace warpdice::cpu::head {
namespace {

/// The weights' gradients of so many parts of the batch are added in order, whatever the number of threads. One part
/// less where the weights are converted, as their copy is of the same size.
constexpr int64_t kMaxParts = 16;

template <class T>
class HeadRun {
 public:
  HeadRun(const Call& call, const Weights<T>& weights)
      : call_(call), weights_(weights), partition_(partition_of(call.in)) {}

  /// Writes sums [N,C].
  LabelFault statistics(Sums* sums) const {
    // The sums of so many runs at a time, so that they take little memory. They are added in the same order anyway.
    constexpr int64_t kSumsBytes = 200'000;
    const int64_t N = call_.in.samples, C = call_.in.classes, runs = partition_.runs;
    const int64_t of_thread = std::max<int64_t>(1, kSumsBytes / (C * static_cast<int64_t>(sizeof(Sums))));
    const int64_t at_once = std::min(runs, of_thread * threads());
    static thread_local Workspace memory;
    const TrimmedAtEnd trimmed(memory);
    Sums* of_runs = reserve<Sums>(memory, at_once * C);
    std::fill(sums, sums + N * C, Sums{});
    LabelFault faults;
    for (int64_t first = 0; first < runs; first += at_once) {
      const int64_t count = std::min(at_once, runs - first);
      faults.add(statistics_of_runs(first, count, of_runs));
      for (int64_t i = 0; i < count; i++) {
        Sums* const of_sample = sums + partition_.run(call_.in, first + i).n * C;
        for (int64_t c = 0; c < C; c++) add(of_sample[c], of_runs[i * C + c]);
      }
    }
    return faults;
  }

  /// Step 3. coefficients: [N,C], or [C] when pooled.
  void gradients(const Coefficients* coefficients, bool pooled) const {
    const Head& head = call_.head;
    const bool differentiates = call_.steps & kGradient;
    const int64_t C = call_.in.classes, K = padded_channels(head.channels);
    const int64_t copies = weights_.weight == head.weight.data ? 0 : 1;
    const int64_t parts = std::min(partition_.runs, kMaxParts - copies);
    static thread_local Workspace weight_memory, bias_memory;
    const TrimmedAtEnd trimmed(weight_memory), also_trimmed(bias_memory);
    const bool of_weight = differentiates && head.weight_grad.data, of_bias = differentiates && head.bias_grad.data;
    T* weight = reserve<T>(weight_memory, of_weight ? parts * C * K : 0);
    double* bias = reserve<double>(bias_memory, of_bias ? parts * C : 0);
    Pool::instance().parallel_for(parts, 1, [&](int64_t part) {
      T* const of_part = weight ? weight + part * C * K : nullptr;
      double* const bias_of_part = bias ? bias + part * C : nullptr;
      if (of_part) std::fill(of_part, of_part + C * K, T{0});
      if (bias_of_part) std::fill(bias_of_part, bias_of_part + C, 0.0);
      Tile<T> tile(call_, weights_);
      for (int64_t i = part * partition_.runs / parts; i < (part + 1) * partition_.runs / parts; i++) {
        const Run run = partition_.run(call_.in, i);
        const Coefficients* of_sample = coefficients + (pooled ? 0 : run.n * C);
        for_tiles(tile, run, of_weight, [&](int64_t s, int64_t count) {
          if (call_.steps & kTargetGradient) tile.target_gradient(of_sample);
          if (!differentiates) return;
          tile.differentiate(of_sample);
          tile.add_weight_gradients(of_part, bias_of_part);
          if (call_.grad.data) tile.store_feature_gradient(s == run.begin, s + count == run.end);
        });
      }
    });
    if (of_weight) add_parts(weight, parts, C, head.channels, K, head.weight_grad);
    if (of_bias) add_parts(bias, parts, 1, C, C, head.bias_grad);
  }

 private:
  LabelFault statistics_of_runs(int64_t first, int64_t count, Sums* sums) const {
    std::mutex mutex;
    LabelFault faults;
    Pool::instance().parallel_for(count, partition_.grain, [&](int64_t i) {
      Sums* const of_run = sums + i * call_.in.classes;
      std::fill(of_run, of_run + call_.in.classes, Sums{});
      LabelFault fault;
      Tile<T> tile(call_, weights_);
      for_tiles(tile, partition_.run(call_.in, first + i), false,
                [&](int64_t, int64_t) { fault.add(tile.add_statistics(of_run)); });
      if (fault.count == 0) return;
      std::lock_guard<std::mutex> lock(mutex);
      faults.add(fault);
    });
    return faults;
  }

  /// The sum of [parts][rows][stride] in order, to an array [rows,columns]. The sums replace those of the first part.
  template <class Part>
  void add_parts(Part* of_parts, int64_t parts, int64_t rows, int64_t columns, int64_t stride,
                 const GradientOut& out) const {
    const Rows whole = {1, rows * columns, false};
    static thread_local Workspace memory;
    const TrimmedAtEnd trimmed(memory);
    T* sums = reserve<T>(memory, columns + kRunAlignment);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++) {
        double sum = 0;
        for (int64_t part = 0; part < parts; part++) sum += of_parts[(part * rows + r) * stride + c];
        sums[c] = static_cast<T>(sum);
      }
      products<T>().store(out, whole, {0, r * columns, static_cast<int>(columns)}, sums, 0, nullptr);
    }
  }

  const Call& call_;
  const Weights<T>& weights_;
  const Partition partition_;
};

/// [N,C] to [C], in the order of the samples. pairs: their weights, or null.
void pool_over_batch(int64_t samples, int64_t classes, const double* pairs, Sums* sums) {
  for (int64_t n = 0; pairs && n < samples; n++) weigh(pairs + n * classes, classes, sums + n * classes);
  for (int64_t n = 1; n < samples; n++) {
    for (int64_t c = 0; c < classes; c++) add(sums[c], sums[n * classes + c]);
  }
}

template <class T>
LabelFault run_as(const Call& call, const Weights<T>& weights) {
  const Inputs& in = call.in;
  const int64_t N = in.samples, C = in.classes, groups = call.groups();
  const bool computes = call.steps & kStatistics, differentiates = call.steps & (kGradient | kTargetGradient);
  static thread_local Workspace of_sums, of_coefficients;
  const TrimmedAtEnd trimmed(of_sums), also_trimmed(of_coefficients);
  Sums* sums = reserve<Sums>(of_sums, std::max(computes ? N * C : 0, groups * C));
  const bool weighs_pooled = call.options.pooled && call.pairs;
  const int64_t rows = groups + (weighs_pooled ? N : 0);
  Coefficients* coefficients = reserve<Coefficients>(of_coefficients, differentiates ? rows * C : 0);
  const HeadRun<T> head(call, weights);
  const size_t statistics_bytes = static_cast<size_t>(groups * C) * sizeof(Sums);
  if (computes) {
    LabelFault faults = check_target(in);
    if (faults.count > 0) return faults;
    faults = head.statistics(sums);
    if (faults.count > 0) return faults;
    if (call.options.pooled) pool_over_batch(N, C, call.pairs, sums);
    if (call.statistics) std::memcpy(call.statistics, sums, statistics_bytes);
  } else {
    std::memcpy(sums, call.statistics, statistics_bytes);
  }
  if (call.steps & kFinalize) {
    finalize_value(call.options, groups, C, sums, call.value, call.parts, call.per_class, call.pairs);
  }
  if (!differentiates) return {};
  const bool pooled = call.options.pooled;
  const int64_t first = pooled ? 0 : call.sample_offset, last = pooled ? 1 : first + N;
  const GroupTotals total = totals_of_all(call.options, groups, C, sums, call.pairs);
  finalize_coefficients(call.options, C, sums + first * C, total, call.scale, call.upstream, coefficients + first * C,
                        first, last, call.pairs);
  if (!weighs_pooled) {
    head.gradients(coefficients + first * C, pooled);
    return {};
  }
  Coefficients* const own = coefficients + C;
  for (int64_t n = 0; n < N; n++) weigh(call.pairs + n * C, C, coefficients, own + n * C);
  head.gradients(own, false);
  return {};
}

}  // namespace

LabelFault run(const Call& call) {
  return with_weights(call, [&](const auto& weights) { return run_as(call, weights); });
}

}  // namespace warpdice::cpu::head
