// Compares the counting kernels in the emulator with a loop over the voxels: every decision, dtype, target and layout
// on odd shapes. Weights, ignored labels and NaN take turns. For the arguments see kernels_test.cc.
//
//   count_test [order] [every]
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "buffer.h"
#include "cuda/kernels/count.h"
#include "simt.h"

namespace {

using namespace warpdice;

struct CountCase {
  Decision decision;
  DType dtype, target;
  bool labels, channels_last;
  int64_t N, C, S;
  unsigned number;  // chooses the other options

  int64_t at(int64_t n, int64_t c, int64_t s) const {
    return channels_last ? (n * S + s) * C + c : (n * C + c) * S + s;
  }
};

/// The class with the largest value. C, for none, where one is NaN and, in a target, where none is above 0.
int64_t largest(const CountCase& x, const Buffer& values, int64_t n, int64_t s, bool is_target) {
  int64_t best = 0;
  bool named = !is_target;
  for (int64_t c = 0; c < x.C; c++) {
    const double value = values.get(x.at(n, c, s));
    if (std::isnan(value)) return x.C;
    if (value > values.get(x.at(n, best, s))) best = c;
    named |= value > 0;
  }
  return named ? best : x.C;
}

/// Whether the counts are right.
bool run(const CountCase& x) {
  std::mt19937 random(x.number);
  const auto below = [&](int64_t end) { return static_cast<double>(random() % static_cast<uint64_t>(end)); };
  const bool maps = x.decision == Decision::labels, weighted = x.number % 2,
             ignores = x.labels && x.number / 3 % 3 == 0;
  const int64_t named = x.C == 1 ? 2 : x.C, base = x.C == 1 ? 1 : 0, ignored = 200;
  Buffer predictions(x.dtype, static_cast<size_t>(x.N * x.S * (maps ? 1 : x.C)));
  Buffer target(x.target, static_cast<size_t>(x.N * x.S * (x.labels ? 1 : x.C)));
  const DType weight_type = x.number % 4 == 1 ? DType::float64 : DType::uint8;
  Buffer weight(weight_type, static_cast<size_t>(x.N * x.S));
  for (size_t i = 0; i < predictions.count; i++) {
    predictions.set(i, maps ? below(named) : x.number % 5 == 0 && i % 7 == 0 ? NAN : below(9) / 4 - 1);
  }
  for (size_t i = 0; i < target.count; i++) {
    target.set(i, !x.labels ? below(2) : ignores && i % 5 == 0 ? static_cast<double>(ignored) : below(named));
  }
  for (size_t i = 0; i < weight.count; i++) weight.set(i, below(2));

  cuda::DeviceCount call;
  call.decision = x.decision;
  call.threshold = -0.25;  // of logits: probabilities would be checked
  call.in.samples = x.N;
  call.in.classes = x.C;
  call.in.voxels = x.S;
  call.in.channels_last = x.channels_last;
  call.in.labels = x.labels;
  call.in.has_ignore = ignores;
  call.in.ignore_index = ignored;
  call.in.predictions = predictions.operand();
  call.in.target = target.operand();
  if (weighted) call.in.weight = weight.operand();

  const int64_t cells = call.cells();
  const int64_t row = x.C * 4;
  std::vector<unsigned long long> want(static_cast<size_t>(cells)), got(want.size(), 77);
  std::vector<unsigned long long> want_rows(static_cast<size_t>(x.N * row)), got_rows(want_rows.size(), 77);
  const auto add = [&](int64_t n, int64_t cell) {
    want[static_cast<size_t>(cell)]++;
    for (const int64_t place : row_places(x.decision, x.C, cell).places) {
      if (place >= 0) want_rows[static_cast<size_t>(n * row + place)]++;
    }
  };
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      const int64_t voxel = n * x.S + s;
      const double label = x.labels ? target.get(static_cast<size_t>(voxel)) : 0;
      if ((weighted && weight.get(static_cast<size_t>(voxel)) == 0) || (ignores && label == ignored)) continue;
      const auto name = [&](double value) { return value < base ? x.C : static_cast<int64_t>(value) - base; };
      if (x.decision != Decision::threshold) {
        const int64_t t = x.labels ? name(label) : largest(x, target, n, s, true);
        const int64_t p =
            maps ? name(predictions.get(static_cast<size_t>(voxel))) : largest(x, predictions, n, s, false);
        add(n, t * (x.C + 1) + p);
        continue;
      }
      for (int64_t c = 0; c < x.C; c++) {
        const bool t = x.labels ? name(label) == c : target.get(static_cast<size_t>(x.at(n, c, s))) > 0.5;
        const bool p = predictions.get(static_cast<size_t>(x.at(n, c, s))) > -0.25;
        add(n, (c * 2 + t) * 2 + p);
      }
    }
  }
  LabelFault faults[2];
  call.by_sample = x.number % 2 == 0;
  call.counts = got.data();
  call.rows = got_rows.data();
  call.faults = faults;
  std::vector<unsigned long long> workspace(cuda::workspace_bytes(call) / sizeof(unsigned long long) + 1);
  const cudaError_t status = enqueue(call, workspace.data(), nullptr);
  if (!call.by_sample) want_rows.assign(want_rows.size(), 77);
  return status == cudaSuccess && got == want && got_rows == want_rows && faults[0].count == 0 && faults[1].count == 0;
}

/// What does not fit a grid is refused before the engine writes anything.
bool refuses() {
  cuda::DeviceCount call;
  call.decision = Decision::threshold;
  call.in.samples = int64_t{1} << 16;
  call.in.classes = 1 << 15;
  call.in.voxels = 1;
  return cuda::enqueue(call, nullptr, nullptr) == cudaErrorInvalidConfiguration;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  const int64_t shapes[][3] = {{1, 1, 1}, {2, 3, 33}, {1, 2, 1031}, {3, 19, 31}, {1, 90, 37}};
  const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
  int failures = 0, done = 0;
  unsigned number = 0;
  const auto check = [&](const CountCase& x) {
    if (x.number % every != 0) return;
    done++;
    simt::config().order = orders[(number + further) % 3];
    simt::config().seed = number + further;
    if (run(x)) return;
    failures++;
    std::printf(
        "FAILED counts: decision %d, dtype %d, target %d, labels %d, channels last %d, N=%d C=%d S=%d (%u): %s\n",
        static_cast<int>(x.decision), static_cast<int>(x.dtype), static_cast<int>(x.target), x.labels, x.channels_last,
        static_cast<int>(x.N), static_cast<int>(x.C), static_cast<int>(x.S), number, simt::last_fault().c_str());
    std::fflush(stdout);  // shown even if the next case never ends
  };
  for (const auto& shape : shapes) {
    const int64_t N = shape[0], C = shape[1], S = shape[2];
    for (DType target : {DType::uint8, DType::int32, DType::int64}) {
      for (DType map : {DType::uint8, DType::int32, DType::int64}) {
        check({Decision::labels, map, target, true, false, N, C, S, ++number});
      }
      for (DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        for (Decision decision : {Decision::argmax, Decision::threshold}) {
          for (bool last : {false, true}) {
            check({decision, dtype, target, true, last, N, C, S, ++number});
            if (target == DType::int32) check({decision, dtype, DType::uint8, false, last, N, C, S, ++number});
            if (target != DType::int64) continue;
            check({decision, dtype, dtype, false, last, N, C, S, ++number});
            const DType other = dtype == DType::float64 ? DType::float16 : DType::float64;
            if (C == 19) check({decision, dtype, other, false, last, N, C, S, ++number});
          }
        }
      }
    }
  }
  if (!refuses()) {
    failures++;
    std::printf("FAILED counts: 2^31 rows are taken\n");
  }
  std::printf("%d cases, %d failures\n", done, failures);
  return failures == 0 ? 0 : 1;
}
