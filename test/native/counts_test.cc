// Hard metrics against a loop over the voxels.
#include "cpu/counts.h"

#include <vector>

#include "check.h"

namespace warpdice::test {
namespace {

void expect_counts(const char* name, const cpu::Counts& counts, const std::vector<double>& cells,
                   const std::vector<double>& rows, double factor) {
  std::vector<double> got(cells.size(), -1), got_rows(rows.size(), -1);
  counts.write_cells(got.data());
  for (size_t i = 0; i < cells.size(); i++) expect_close(name, got[i], factor * cells[i], 0);
  counts.write_rows(got_rows.data());
  for (size_t i = 0; i < rows.size(); i++) expect_close(name, got_rows[i], rows[i], 0);
}

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
    label = x < 0.1 ? kIgnored : static_cast<uint8_t>(random.next() * static_cast<double>(C < 200 ? C : 200));
  }
  CountInputs inputs;
  inputs.in.samples = N, inputs.in.classes = C, inputs.in.voxels = S;
  inputs.in.channels_last = channels_last;
  inputs.in.has_ignore = true, inputs.in.ignore_index = kIgnored;
  inputs.in.predictions = {logits.data(), dtype};
  inputs.in.target = {labels.data(), DType::uint8};
  inputs.by_sample = true;
  const auto size = static_cast<size_t>(inputs.cells()), row_size = static_cast<size_t>(N * C * 4);
  std::vector<double> expected(size, 0), expected_rows(row_size, 0);
  cpu::Counts counts(Decision::argmax, C, true);
  const CountFaults faults = cpu::count(inputs, counts);
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
      expected[static_cast<size_t>(label * (C + 1) + best)]++;
      for (int64_t c = 0; c < C; c++) {
        expected_rows[static_cast<size_t>((n * C + c) * 4 + (label == c ? 2 : 0) + (best == c ? 1 : 0))]++;
      }
    }
  }
  expect_counts(name, counts, expected, expected_rows, 1);
  // Twice the same, in one: the samples follow each other.
  cpu::Counts twice(Decision::argmax, C, true);
  twice.add(counts);
  twice.add(counts);
  std::vector<double> both = expected_rows;
  both.insert(both.end(), expected_rows.begin(), expected_rows.end());
  expect_counts(name, twice, expected, both, 2);
  twice.clear();
  expect_close(name, static_cast<double>(twice.samples()), 0, 0);
}

/// One-hot masks that were taken for label maps: of all values of both one in C is 1.
void recognize_one_hot() {
  constexpr int64_t C = 3, S = 5;
  std::vector<int32_t> masks(C * S), others(C * S);
  for (int64_t s = 0; s < S; s++) masks[static_cast<size_t>(s % C * S + s)] = 1;
  others[0] = 1;
  CountInputs inputs;
  inputs.decision = Decision::labels;
  inputs.in.samples = 1, inputs.in.classes = C, inputs.in.voxels = C * S;
  for (const bool of_target : {true, false})
    for (const bool of_predictions : {true, false}) {
      inputs.in.target = {of_target ? masks.data() : others.data(), DType::int32};
      inputs.in.predictions = {of_predictions ? masks.data() : others.data(), DType::int32};
      cpu::Counts counts(Decision::labels, C, false);
      cpu::count(inputs, counts);
      expect_close("one-hot masks are recognized", counts.looks_one_hot(), of_target && of_predictions, 0);
    }
}

}  // namespace

void test_counts() {
  for (const bool channels_last : {false, true}) {
    for (const int64_t C : {2, 3, 4, 9, 14, 15, 40}) {
      compare_pairs<float>("counts, float32", DType::float32, 2, C, 1031, channels_last);
      compare_pairs<double>("counts, float64", DType::float64, 1, C, 2099, channels_last);
    }
    compare_pairs<float>("counts, listed pairs", DType::float32, 2, 1100, 131, channels_last);
  }
  recognize_one_hot();
}

}  // namespace warpdice::test
