#include "cpu/kernels/log_sums.h"

#include "cpu/kernels/elementary.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

constexpr int kLanes = Simd<double>::lanes;
constexpr int kVectors = 4;  // side by side, to hide the latency of the exponential
constexpr int kTogether = kVectors * kLanes;
static_assert(LogSums::kStep % kTogether == 0);

/// Where a value is NaN, so is the sum.
void log_sums_at(const LogSums& all, int64_t first) {
  typedef Vec<double> V;
  V largest[kVectors], sum[kVectors] = {};
  for (int v = 0; v < kVectors; v++) largest[v] = load<V>(all.logits + first + v * kLanes);
  for (int64_t c = 1; c < all.classes; c++) {
    const double* logits = all.logits + c * all.stride + first;
    for (int v = 0; v < kVectors; v++) largest[v] = max(load<V>(logits + v * kLanes), largest[v]);
  }
  for (int64_t c = 0; c < all.classes; c++) {
    double* logits = all.logits + c * all.stride + first;
    V e[kVectors];
    for (int v = 0; v < kVectors; v++) e[v] = load<V>(logits + v * kLanes) - largest[v];
    exp_nonpositive(e);
    for (int v = 0; v < kVectors; v++) sum[v] += e[v];
    for (int v = 0; v < kVectors && all.replaces; v++) store(logits + v * kLanes, e[v]);
  }
  for (int v = 0; v < kVectors; v++) {
    const int64_t at = first + v * kLanes;
    store(all.largest + at, largest[v]);
    store(all.sum + at, sum[v]);
    store(all.log_sum + at, log_positive(sum[v]));
  }
}

}  // namespace

void log_sums(const LogSums& all) {
  for (int64_t first = 0; first < all.count; first += kTogether) log_sums_at(all, first);
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
