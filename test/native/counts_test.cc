// Hard metrics against a loop over the voxels.
#include "cpu/counts.h"

#include <vector>

#include "check.h"

namespace warpdice::test {
namespace {

/// Argmax of float logits with ties and a NaN now and then, labels of which some are ignored.
template <class T>
void compare_pairs(const char* name, DType dtype, int64_t N, int64_t C, int64_t S, bool channels_last) {
  constexpr int64_t kIgnored = 255;
  Random random;
  std::vector<T> logits(static_cast<size_t>(N * C * S));
  std::vector<uint8_t> labels(static_cast<size_t>(N * S));
  for (size_t i = 0; i < logits.size(); i++) {
    logits[i] = i % 97 == 0 ? std::nan("") : static_cast<T>(std::floor(random.next() * 5));
  }
  for (uint8_t& label : labels) {
    const double x = random.next();
    label = x < 0.1 ? kIgnored : static_cast<uint8_t>(random.next() * static_cast<double>(C));
  }
  CountInputs inputs;
  inputs.in.samples = N, inputs.in.classes = C, inputs.in.voxels = S;
  inputs.in.channels_last = channels_last;
  inputs.in.has_ignore = true, inputs.in.ignore_index = kIgnored;
  inputs.in.predictions = {logits.data(), dtype};
  inputs.in.target = {labels.data(), DType::uint8};
  const size_t size = static_cast<size_t>(N * inputs.cells());
  std::vector<double> counts(size, -1), expected(size, 0);
  const CountFaults faults = cpu::count(inputs, counts.data());
  expect_close(name, static_cast<double>(faults.target.count), 0, 0);

  for (int64_t n = 0; n < N; n++) {
    for (int64_t s = 0; s < S; s++) {
      const uint8_t label = labels[static_cast<size_t>(n * S + s)];
      if (label == kIgnored) continue;
      const auto at = [&](int64_t c) {
        return logits[static_cast<size_t>(channels_last ? (n * S + s) * C + c : (n * C + c) * S + s)];
      };
      int64_t best = 0;
      for (int64_t c = 1; c < C; c++) best = at(c) > at(best) ? c : best;
      for (int64_t c = 0; c < C; c++) best = std::isnan(at(c)) ? C : best;
      expected[static_cast<size_t>(n * inputs.cells() + label * (C + 1) + best)]++;
    }
  }
  for (size_t i = 0; i < size; i++) expect_close(name, counts[i], expected[i], 0);
}

}  // namespace

void test_counts() {
  for (const bool channels_last : {false, true}) {
    for (const int64_t C : {2, 3, 4, 9, 14, 15, 40}) {
      compare_pairs<float>("counts, float32", DType::float32, 2, C, 1031, channels_last);
      compare_pairs<double>("counts, float64", DType::float64, 1, C, 2099, channels_last);
    }
  }
}

}  // namespace warpdice::test
