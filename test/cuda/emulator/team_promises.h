#pragma once
// Promises about how blocks share a call: teams of every size, and what blocks leave for each other in the workspace.
#include <set>

#include "promises.h"

namespace promises {

/// Teams of every size in either step and layout, in plain rounds and in another one that is not full. Of a label that
/// names no class they say so once. Few cases: some sizes, found among fewer numbers of classes.
inline void team_sizes(unsigned every) {
  const bool few = every > 7;
  std::set<std::array<int, 4>> sizes;
  const auto is_new = [&](const cuda::TeamShape& of, int step) {
    const int voxels = of.voxels / (of.block_warps / of.warps * (cuda::kWarp / of.lanes));
    return sizes.insert({step, voxels, of.lanes, of.warps}).second;
  };
  int size = 0;
  for (int64_t C = 1; C <= 1280; C += few ? 1 + C / 16 : 1) {
    for (const bool channels_last : {false, true}) {
      for (const LossCase* loss : {&kLosses[0], &kLosses[7]}) {
        Case test = plain_case({1, C, 4}, Target::labels_uint8);
        test.loss = loss;
        test.channels_last = channels_last;
        while (test.bit(6) || test.bit(7) || test.bit(8) || test.bit(11) || test.bit(12) || test.bit(13)) test.number++;
        const cuda::Geometry geometry = cuda::geometry_of(call_of(test, Arrays(test)).in);
        const cuda::TeamShape &shape = geometry.team, &gradient = geometry.gradient_team;
        for (const cuda::TeamShape* of : {&shape, &gradient}) {
          if (C > 1) expect(of->held > 1, "a thread of one class, of several");
          else expect(of->lanes * of->warps == 1 && of->block_warps == cuda::kWarps && !of->interleaved, "see know()");
          expect(of->lanes >= cuda::kMaxTeamVoxels || of->warps == 1 || of->warps == 3 || of->warps == 5,
                 "see Team::over_team()");
        }
        const bool new_statistics = is_new(shape, 1), new_gradient = is_new(gradient, 3);
        if (!new_statistics && !new_gradient) continue;
        if (size++ % (few ? 3 : 1) != 0) continue;
        test.shape.S = 2 * std::max(shape.voxels, gradient.voxels) + 8;
        test_name = "a team of " + std::to_string(shape.lanes) + " lanes of " + std::to_string(shape.warps) +
                    " warps, of " + std::to_string(gradient.lanes) + " of " + std::to_string(gradient.warps) + ", " +
                    test.name();
        run(test);
        if (C > 255) continue;  // a label of one byte always names one of so many classes
        Arrays arrays(test);
        arrays.target.set(static_cast<size_t>(test.shape.S) - 5, 255);
        const LabelFault faults = faults_of(call_of(test, arrays));
        expect(faults.count == 1 && faults.first_index == test.shape.S - 5, "faults: " + std::to_string(faults.count));
      }
    }
  }
  expect(size > 20, "few sizes: " + std::to_string(size));
}

/// A sigmoid's cross-entropy in plain rounds, whose logarithms are added up as one product.
inline void sigmoid_entropy() {
  for (int64_t C : {1, 4, 11}) {
    Case test = plain_case({2, C, 3088}, Target::labels_uint8);
    test.loss = &kLosses[7];
    test.activation = reference::Activation::sigmoid;
    const auto differs = [&] {
      for (int i : {1, 6, 7, 8, 11, 12, 13, 16, 22, 23}) {
        if (test.bit(i)) return true;
      }
      return false;
    };
    while (differs()) test.number++;
    test_name = "a sigmoid's cross-entropy, " + test.name();
    run(test);
  }
}

/// A call with a cross-entropy and labels, in plain rounds.
inline Case entropy_case(Shape shape, bool channels_last = false) {
  Case test = plain_case(shape, Target::labels_uint8);
  test.loss = &kLosses[7];
  test.channels_last = channels_last;
  while (test.bit(6) || test.bit(7) || test.bit(11) || test.bit(12) || test.bit(16) || test.bit(22)) test.number++;
  return test;
}

inline double value_of(cuda::DeviceCall call, double* statistics) {
  Buffer value(DType::float64, static_cast<size_t>(call.in.samples * call.in.classes));
  call.steps = kStatistics | kFinalize;
  call.statistics = statistics;
  call.value = value.doubles();
  enqueue(call);
  return value.get(0);
}

/// A loss that weighs classes needs the cross-entropy of each, also where nobody asks for the statistics.
inline void entropy_of_weighed_classes() {
  for (const char* what : {"class weights", "weights of the cross-entropy", "pairs"}) {
    const Case test = entropy_case({2, 11, 3088});
    test_name = std::string("a cross-entropy with ") + what + ", " + test.name();
    Arrays arrays(test);
    cuda::DeviceCall call = call_of(test, arrays);
    Buffer statistics(DType::float64, static_cast<size_t>(arrays.x.groups() * test.shape.C) * kSumCount);
    Buffer weights(DType::float64, static_cast<size_t>(test.shape.N * test.shape.C));
    for (size_t i = 0; i < weights.count; i++) weights.set(i, static_cast<double>(i % 5));
    if (what[0] == 'c') call.options.class_weights = weights.doubles();
    else if (what[0] == 'w') call.options.entropy_weights = weights.doubles();
    else call.pairs = weights.doubles();
    const double wanted = value_of(call, statistics.doubles()), got = value_of(call, nullptr);
    expect(std::fabs(got - wanted) <= 1e-6 * std::fabs(wanted),
           "value is " + std::to_string(got) + ", with statistics " + std::to_string(wanted));
  }
}

/// Who asks for the statistics gets the cross-entropy of each class.
inline void entropy_of_each_class() {
  const Case test = entropy_case({2, 11, 3088});
  test_name = "a cross-entropy with its statistics, " + test.name();
  Arrays arrays(test);
  const cuda::DeviceCall call = call_of(test, arrays);
  Buffer statistics(DType::float64, static_cast<size_t>(arrays.x.groups() * test.shape.C) * kSumCount);
  value_of(call, statistics.doubles());
  compare_statistics(statistics, reference::statistics(arrays.x), test, call);
}

/// Labels that name no class add nothing in plain rounds, and are counted; not even to the cross-entropy of all
/// classes, nor where they would name the class after the last one that a thread has room for.
inline void invalid_labels_in_plain_rounds() {
  for (const bool channels_last : {false, true}) {
    for (int64_t C : {-1, 1, 3, 18, 150}) {  // -1: one class without a cross-entropy
      Case test = entropy_case({2, std::abs(C), 3088}, channels_last);
      if (C == -1) test.loss = &kLosses[0], C = 1;
      if (C == 1) test.activation = reference::Activation::sigmoid;
      test_name = "invalid labels in plain rounds, " + test.name();
      Arrays arrays(test);
      for (const int64_t label : {C == 1 ? int64_t{2} : C, int64_t{255}}) {
        const int64_t s = 16 + 9 * label;
        arrays.target.set(static_cast<size_t>(s), static_cast<double>(label));
        for (int64_t c = 0; c < C; c++) arrays.x.t[arrays.x.at(0, c, s)] = 0;
      }
      cuda::DeviceCall call = call_of(test, arrays);
      LabelFault faults;
      call.faults = &faults;
      const double got = value_of(call, nullptr), wanted = reference::solve(arrays.x).value[0];
      expect(std::fabs(got - wanted) <= 1e-6 * std::fabs(wanted),
             "value is " + std::to_string(got) + ", not " + std::to_string(wanted));
      expect(faults.count == 2, "faults: " + std::to_string(faults.count));
    }
  }
}

/// A sum of one partial sum more than a warp has lanes has none of the next sum.
inline void many_partials() {
  Case test = plain_case({2, 117, 528}, Target::labels_uint8);
  // The kernel of the commonest loss asks for several at once.
  while (differs_from_commonest(test) || test.bit(6) || test.bit(7) || test.bit(16)) test.number++;
  test_name = "33 partial sums, " + test.name();
  expect(cuda::geometry_of(call_of(test, Arrays(test)).in).chunks == 33, "other chunks");
  run(test);
}

/// Step 1 may have more blocks than step 2 has threads, and the last of them an invalid label.
inline void many_blocks() {
  test_name = "many blocks";
  Case test = plain_case({1, 1, 33100});
  test.activation = reference::Activation::sigmoid;
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  for (size_t i = 0; i < arrays.weight.count; i++) arrays.weight.set(i, 1);
  call.in.weight = {};
  call.in.class_weight = arrays.weight.operand();  // narrow tiles
  expect(cuda::geometry_of(call.in).blocks > cuda::kThreads, "few blocks");
  for (size_t i : {3, 33099}) arrays.target.set(i, 2);
  const LabelFault faults = faults_of(call);
  expect(faults.count == 2 && faults.first_index == 3, "faults: " + std::to_string(faults.count));
}

/// Whatever a call has left in the workspace, even one that was not finished, the next one does not see it.
inline void used_workspace() {
  constexpr auto kNone = reference::Activation::none;
  for (Case test :
       {plain_case({2, 4, 3000}), plain_case({2, 20, 900}), plain_case({9, 3, 40}), plain_case({2, 600, 9})}) {
    for (int loss : {0, 9}) {  // of teams, of the others
      test.loss = &kLosses[loss];
      if (loss == 0 && test.shape.C == 4) test.activation = kNone;  // predictions may be invalid too
      else test.activation = reference::Activation::softmax;
      while (test.bit(6) || test.bit(7)) test.number++;  // every voxel counts
      test_name = "a used workspace, " + test.name();
      Arrays arrays(test);
      cuda::DeviceCall call = call_of(test, arrays);
      Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
      Buffer value(DType::float64, static_cast<size_t>(test.shape.N * test.shape.C));
      LabelFault faults;
      call.value = value.doubles();
      call.faults = &faults;
      const auto enqueue_steps = [&](int steps) {
        call.steps = steps;
        expect(cuda::enqueue(call, workspace.data(), nullptr) == cudaSuccess, simt::last_fault());
      };
      enqueue_steps(kStatistics | kFinalize);
      const double right = value.get(0);
      expect(faults.count == 0, "valid labels are faults");
      const double label = arrays.target.get(1), prediction = arrays.predictions.get(1);
      arrays.target.set(1, 9999);
      if (test.activation == kNone) arrays.predictions.set(1, 7);
      enqueue_steps(kStatistics | kFinalize);
      expect(faults.count == 1 && faults.first_index == 1, "faults: " + std::to_string(faults.count));
      arrays.target.set(1, label);
      enqueue_steps(kStatistics | kFinalize);
      const FaultKind kind = faults.kind;
      expect(faults.count == (test.activation == kNone ? 1 : 0), "faults: " + std::to_string(faults.count));
      if (faults.count) expect(kind == FaultKind::prediction, "another kind of fault");
      arrays.predictions.set(1, prediction);
      enqueue_steps(kStatistics | kFinalize);
      expect(faults.count == 0, "faults are left");
      expect(value.get(0) == right, "value is " + std::to_string(value.get(0)) + ", it was " + std::to_string(right));
    }
  }
}

}  // namespace promises
