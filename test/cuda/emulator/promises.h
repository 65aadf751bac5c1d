#pragma once
// Promises that the combinations of kernels_test.cc do not show, and launches that their shapes do not reach.
#include <array>

#include "compare.h"
#include "cuda/geometry.h"

namespace promises {

using namespace compare;

/// A case of float32 softmax Dice from labels, without the options that take turns.
inline Case plain_case(Shape shape, Target target = Target::labels_int32) {
  return {kLosses, DType::float32, target, reference::Activation::softmax, false, shape, 1};
}

/// Whether the options of a case, but for the factors of terms, are not those of the commonest loss.
inline bool differs_from_commonest(const Case& test) {
  const bool mean = static_cast<reference::Reduction>(test.number % 3) == reference::Reduction::mean;
  return !mean || test.bit(3) || !test.bit(4) || test.bit(22);
}

/// What the call says of its labels and numbers.
inline LabelFault faults_of(cuda::DeviceCall call) {
  Buffer value(DType::float64, static_cast<size_t>(call.in.samples * call.in.classes));
  LabelFault faults;
  call.steps = kStatistics | kFinalize;
  call.value = value.doubles();
  call.faults = &faults;
  enqueue(call);
  return faults;
}

/// Losses that differ from the commonest one in few options: the kernel of that one knows none of them.
inline void nearly_commonest() {
  static constexpr LossCase kFocalDice = {
      "focal Dice", reference::Kind::dice, reference::Overlap::product, true, 0.75, 0, 0, 0, 2};
  for (size_t i = 0; i <= std::size(kLosses); i++) {
    for (const bool factors : {false, true}) {
      Case test = plain_case({2, 3, 40});
      test.loss = i < std::size(kLosses) ? &kLosses[i] : &kFocalDice;
      while (differs_from_commonest(test) || test.bit(16) != factors) test.number++;
      test_name = "nearly the commonest loss, " + test.name();
      run(test);
    }
  }
}

/// A loss that teams do not know: registers and tiles take it.
constexpr const LossCase* kFocal = &kLosses[9];

/// Labels that name no class are counted once, whatever takes the classes, unless their voxel has weight 0. The
/// smallest index is kept, in every order of the blocks.
inline void invalid_labels() {
  constexpr auto kSoftmax = reference::Activation::softmax, kSigmoid = reference::Activation::sigmoid;
  const struct {
    Shape shape;
    reference::Activation activation;
  } cases[] = {{{2, 3, 5000}, kSoftmax}, {{2, 20, 900}, kSoftmax}, {{2, 20, 900}, kSigmoid}, {{2, 600, 10}, kSoftmax}};
  for (unsigned turn = 0; turn < 4; turn++) {
    const bool channels_last = turn % 2;
    for (const auto& [shape, activation] : cases) {
      const int64_t C = shape.C;
      Case test = plain_case(shape);
      if (turn > 1) test.loss = kFocal;
      test_name = "invalid labels, C=" + std::to_string(C) + ", " + test.loss->name;
      test.activation = activation;
      test.channels_last = channels_last;
      Arrays arrays(test);
      cuda::DeviceCall call = call_of(test, arrays);
      call.in.has_ignore = false;
      for (size_t i = 0; i < arrays.target.count; i++) arrays.target.set(i, static_cast<double>(i % 3));
      const size_t first = static_cast<size_t>(shape.S) - 7;
      arrays.target.set(arrays.target.count - 10, static_cast<double>(C));
      arrays.target.set(first, -7);
      arrays.target.set(first + 8, 1000);
      for (const size_t counts : {arrays.target.count - 10, first, first + 8}) arrays.weight.set(counts, 1);
      arrays.weight.set(first - 1, 0);
      if (arrays.weighted) arrays.target.set(first - 1, -9);  // of weight 0: it may be any number
      Buffer value(DType::float64, static_cast<size_t>(2 * C));
      LabelFault faults;
      call.steps = kStatistics | kFinalize;
      call.value = value.doubles();
      call.faults = &faults;
      enqueue(call);
      expect(faults.count == 3, "count is " + std::to_string(faults.count));
      expect(faults.first_index == static_cast<int64_t>(first) && faults.first_value == -7,
             "first is " + std::to_string(faults.first_index));
    }
  }
}

/// Labels and ignore indices that 32 bits do not hold.
inline void wide_labels() {
  constexpr int64_t kWide = (int64_t{1} << 32) + 1;  // 1 in 32 bits
  for (unsigned turn = 0; turn < 2; turn++) {
    for (int64_t C : {1, 3, 20}) {
      for (Target target : {Target::labels_uint8, Target::labels_int32, Target::labels_int64}) {
        for (bool ignores : {false, true}) {
          const bool wide = target == Target::labels_int64;
          Case test = plain_case({1, C, 300}, target);
          if (turn > 0) test.loss = kFocal;
          test_name = "labels of 2^32 + 1, " + test.name() + (ignores ? ", ignored" : "");
          if (C == 1) test.activation = reference::Activation::sigmoid;
          Arrays arrays(test);
          cuda::DeviceCall call = call_of(test, arrays);
          call.in.has_ignore = ignores;
          call.in.ignore_index = kWide;
          call.in.weight = call.in.class_weight = {};
          double weight = 300, ones = 0;
          for (size_t i = 0; i < 300; i++) {
            const bool far = wide && i % 7 == 3;
            arrays.target.set(i, static_cast<double>(far ? kWide : i % 2));
            weight -= far && ignores ? 1 : 0;
            ones += i % 2 == 1 && !far ? 1 : 0;
          }
          for (size_t i = 0; i < arrays.predictions.count; i++) arrays.predictions.set(i, 0.5);
          Buffer value(DType::float64, static_cast<size_t>(C)), statistics(DType::float64, arrays.x.C * kSumCount);
          LabelFault faults;
          call.steps = kStatistics;
          call.statistics = statistics.doubles();
          call.faults = &faults;
          enqueue(call);
          const size_t named = C == 1 ? 0 : 1;  // the class of label 1
          expect(statistics.get(named * kSumCount + 2) == ones, "the sum of t");
          expect(statistics.get(named * kSumCount + 4) == weight, "the sum of the weights");
          expect(faults.count == (wide && !ignores ? 43 : 0), "faults: " + std::to_string(faults.count));
          if (faults.count) expect(faults.first_value == kWide, "the value of the first fault");
        }
      }
    }
  }
}

/// Values of a dense target outside [0, 1] are counted in the same way, once for each class.
inline void invalid_values() {
  for (int64_t C : {3, 17}) {
    for (Target target : {Target::dense_uint8, Target::dense_like}) {
      for (bool channels_last : {false, true}) {
        Case test = plain_case({1, C, 300}, target);
        test.channels_last = channels_last;
        test_name = "invalid values, " + test.name();
        Arrays arrays(test);
        cuda::DeviceCall call = call_of(test, arrays);
        call.in.class_weight = {};
        for (size_t i = 0; i < arrays.weight.count; i++) arrays.weight.set(i, i == 77 ? 0 : 1);
        call.in.weight = arrays.weight.operand();
        const auto set = [&](int64_t c, int64_t s, double x) { arrays.target.set(Arrays::lies_at(test, 0, c, s), x); };
        set(C - 1, 177, 2);  // in a thread that may have fewer classes than others
        set(0, 200, 255);
        set(0, 77, 255), set(1, 77, 3);  // of the voxel without weight
        const LabelFault faults = faults_of(call);
        const size_t of_last = Arrays::lies_at(test, 0, C - 1, 177), of_first = Arrays::lies_at(test, 0, 0, 200);
        expect(faults.count == 2, "count is " + std::to_string(faults.count));
        expect(faults.first_index == static_cast<int64_t>(std::min(of_last, of_first)) &&
                   faults.first_value == (of_last < of_first ? 2 : 255),
               "first is " + std::to_string(faults.first_index));
      }
    }
  }
}

/// Targets need not be aligned as the predictions are; nor, channels last, the labels of samples of an odd length.
inline void shifted_targets() {
  for (Target target : {Target::labels_uint8, Target::dense_like}) {
    for (bool channels_last : {false, true}) {
      Case test = plain_case({2, 4, channels_last ? 2061 : 2056}, target);  // with a plain round
      test.channels_last = channels_last;
      while (test.bit(11) || test.bit(12) == channels_last || test.bit(6) || test.bit(7)) test.number++;
      test_name = "a shifted target, " + test.name();
      run(test);
    }
  }
}

/// Labels of one byte in aligned arrays: alone, with weights, with a value to ignore, and with a gradient that is
/// added to; and labels that name no class.
inline void bytes(bool channels_last) {
  for (int64_t C : {1, 2, 3, 4, 20}) {
    if (channels_last && C == 1) continue;                                        // one class has one layout
    for (int option : {0, 6, 7, 8}) {                                             // bits of the number
      Case test = plain_case({2, C, C > 4 ? 1224 : 3088}, Target::labels_uint8);  // plain rounds and most of another
      test.channels_last = channels_last;
      if (C == 1) test.activation = reference::Activation::sigmoid;
      const auto differs = [&] {
        for (int i : {6, 7, 8}) {
          if (test.bit(i) != (i == option)) return true;
        }
        return test.bit(11) || test.bit(12) || test.bit(13) || test.bit(21);
      };
      while (differs()) test.number++;
      test_name = "bytes, " + test.name();
      run(test);
      if (option != 0) continue;
      Arrays arrays(test);
      cuda::DeviceCall call = call_of(test, arrays);
      for (size_t i : {5, 1000}) arrays.target.set(i, 250);
      Buffer value(DType::float64, static_cast<size_t>(2 * C));
      LabelFault faults;
      call.steps = kStatistics | kFinalize;
      call.value = value.doubles();
      call.faults = &faults;
      enqueue(call);
      expect(faults.count == 2 && faults.first_index == 5, "faults: " + std::to_string(faults.count));
    }
  }
}

/// In a one-class mask of floats, a voxel with the value to ignore is left out.
inline void ignored_mask_values() {
  test_name = "a mask of floats with values to ignore";
  Case test = plain_case({1, 1, 300}, Target::dense_like);
  test.activation = reference::Activation::sigmoid;
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  reference::Problem& x = arrays.x;
  call.in.has_ignore = true;
  call.in.ignore_index = 255;
  for (size_t i = 0; i < 300; i += 7) {
    arrays.target.set(i, 255);
    x.w[i] = 0;
  }
  Buffer value(DType::float64, 1), gradient(DType::float32, 300);
  call.value = value.doubles();
  call.grad.data = gradient.data();
  enqueue(call);
  x.scale = 1;
  const reference::Result want = reference::solve(x);
  compare_value(value, want.value, test);
  compare_gradient("gradient", gradient, want.gradient, 0, test, x);
}

/// Every order of threads and blocks gives the same bits, also on a workspace that was used before.
inline void same_bits() {
  for (Shape shape : {Shape{2, 4, 9000}, Shape{1, 19, 9000}, Shape{3, 1, 40000}}) {
    test_name = "same bits, C=" + std::to_string(shape.C);
    Case test = plain_case(shape);
    if (shape.C == 1) test.activation = reference::Activation::sigmoid;
    Arrays arrays(test);
    cuda::DeviceCall call = call_of(test, arrays);
    const size_t elements = Arrays::elements(test);
    std::string first;
    Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
    for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random, simt::Order::random}) {
      simt::config().order = order;
      simt::config().seed++;
      Buffer value(DType::float64, static_cast<size_t>(shape.N * shape.C)), gradient(DType::float32, elements);
      call.value = value.doubles();
      call.grad.data = gradient.data();
      expect(cuda::enqueue(call, workspace.data(), nullptr) == cudaSuccess, simt::last_fault());
      std::string bits(gradient.data(), elements * sizeof(float));
      bits.append(value.data(), sizeof(double));
      if (first.empty()) first = bits;
      expect(bits == first, "not the same bits");
    }
  }
}

/// A NaN in the logit of a voxel that counts shows in the value, whichever kernel reads it. text: in the names of the
/// cases to run.
inline void nan_in_a_logit(const std::string& text) {
  unsigned turn = 0;
  for (const LossCase* loss : {&kLosses[0], &kLosses[5], &kLosses[6], &kLosses[7], &kLosses[std::size(kLosses) - 1]}) {
    for (reference::Activation activation : kActivations) {
      for (int64_t C : {1, 3, 6, 20}) {
        for (Target target : {Target::labels_uint8, Target::dense_like}) {
          for (bool channels_last : {false, true}) {
            Case test = plain_case({2, C, 70}, target);
            test.loss = loss;
            test.dtype = kDTypes[turn++ % 4];
            test.activation = activation;
            test.channels_last = channels_last;
            test_name = "NaN, " + test.name();
            if (!test.makes_sense() || test_name.find(text) == std::string::npos) continue;
            Arrays arrays(test);
            size_t voxel = 100;
            while (!arrays.x.counts(1, C - 1, static_cast<int64_t>(voxel) - 70)) voxel++;
            const auto s = static_cast<int64_t>(voxel) - 70;
            arrays.predictions.set(Arrays::lies_at(test, 1, C - 1, s), NAN);
            cuda::DeviceCall call = call_of(test, arrays);
            Buffer value(DType::float64, static_cast<size_t>(2 * C));
            call.steps = kStatistics | kFinalize;
            call.value = value.doubles();
            enqueue(call);
            expect(std::isnan(value.get(0)), "value is " + std::to_string(value.get(0)));
          }
        }
      }
    }
  }
}

/// Logits far below 0, of which a softmax sees only the differences. text: as above.
inline void low_logits(const std::string& text) {
  for (unsigned turn = 0; turn < 6; turn++) {
    for (int64_t C : {3, 7, 20}) {
      Case test = plain_case({1, C, 300});
      if (turn > 2) test.loss = kFocal;
      test.dtype = std::array{DType::float32, DType::float64, DType::bfloat16}[turn % 3];
      test_name = "logits below -20000, " + test.name();
      if (test_name.find(text) == std::string::npos) continue;
      Arrays arrays(test);
      for (int64_t c = 0; c < C; c++) {
        for (int64_t s = 0; s < 300; s++) {
          const size_t i = Arrays::lies_at(test, 0, c, s);
          arrays.predictions.set(i, arrays.predictions.get(i) - 20100);
          if (arrays.x.counts(0, c, s)) arrays.x.z[i] = arrays.predictions.get(i);
        }
      }
      run(test, arrays);
    }
  }
}

/// A logit of -infinity forbids a class. Where the target is another one, its cross-entropy adds nothing.
inline void forbidden_classes() {
  for (const LossCase* loss :
       {&kLosses[7], kFocal, &kLosses[13]}) {  // the last: a cross-entropy that teams do not know
    for (reference::Activation activation : {reference::Activation::sigmoid, reference::Activation::softmax}) {
      if (loss->unified != reference::Unified::none && activation == reference::Activation::sigmoid) continue;
      for (int64_t C : {3, 20}) {
        for (Target target : {Target::labels_int32, Target::dense_uint8}) {
          Case test = plain_case({1, C, 200}, target);
          test.loss = loss;
          test.activation = activation;
          test_name = "forbidden classes, " + test.name();
          Arrays arrays(test);
          for (int64_t s = 0; s < 200; s += 3) {
            const int64_t label = test.labels() ? static_cast<int64_t>(arrays.target.get(static_cast<size_t>(s))) : 0;
            const size_t i = Arrays::lies_at(test, 0, (label + 1) % C, s);
            if (!test.labels()) arrays.target.set(i, arrays.x.t[i] = 0);
            arrays.predictions.set(i, -INFINITY);
            arrays.x.z[i] = -200;  // of the reference, whose derivatives divide by p
          }
          run(test, arrays);
        }
      }
    }
  }
}

/// More samples than finish_kernel has warps, and more rows than its blocks add up at once.
inline void many_rows() {
  for (unsigned number : {9, 10}) {  // unpooled: reduction none, mean
    Case test = plain_case({11, 3, 20});
    test.number = number;
    test_name = test.name();
    run(test);
  }
  Case test = plain_case({70, 60, 2});
  test.number = 10;
  test_name = test.name();
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  Buffer value(DType::float64, 1), statistics(DType::float64, 70 * 60 * kSumCount);
  call.steps = kStatistics | kFinalize;
  call.statistics = statistics.doubles();
  call.value = value.doubles();
  enqueue(call);
  const reference::Rows sums = reference::statistics(arrays.x);
  compare_statistics(statistics, sums, test, call);
  compare_value(value, {static_cast<double>(reference::values(arrays.x, sums)[0])}, test);
}

/// The results are as exact as ever where the hardware's e^x and 1/x are at their worst documented error.
inline void approximations() {
  for (Shape shape : {Shape{2, 1, 1033}, Shape{2, 4, 1033}, Shape{1, 19, 300}, Shape{1, 150, 70}}) {
    Case test = plain_case(shape);
    if (shape.C == 1) test.activation = reference::Activation::sigmoid;
    test_name = "approximations, C=" + std::to_string(shape.C);
    simt::config().approximation_error = 0x1p-22f;
    run(test);
    simt::config().approximation_error = 0;
  }
}

/// Batches and rows so long that a block takes several rounds or tiles, with a last one that is not full. As they are a
/// hundred times as long as the other cases, some are run only with many cases or all.
inline void long_rows(unsigned every) {
  const auto expect_rounds = [&](Case test, const LossCase* loss = kLosses) {
    test.loss = loss;
    test_name = test.name();
    Arrays arrays(test);
    const cuda::Geometry geometry = cuda::geometry_of(call_of(test, arrays).in);
    const bool many = geometry.teamed  ? geometry.team.chunk > geometry.team.voxels
                      : geometry.tiled ? geometry.tile.tiles > 1
                                       : geometry.registers.chunk > 4096;
    expect(many, "one round");
    run(test, arrays);
  };
  if (every <= 41) expect_rounds(plain_case({128, 20, 520}, Target::labels_uint8));  // a team of lanes
  const Case blocks = plain_case({1, 2, 70000});  // so many that each lane of finish_kernel adds several partial sums
  test_name = blocks.name();
  Arrays arrays(blocks);
  expect(cuda::geometry_of(call_of(blocks, arrays).in).chunks > cuda::kWarp, "few blocks");
  run(blocks, arrays);
  if (every > 7) return;
  expect_rounds(plain_case({64, 150, 225}, Target::labels_uint8));         // of warps
  expect_rounds(plain_case({128, 20, 1000}, Target::dense_like), kFocal);  // tiles
  if (every > 1) return;
  expect_rounds(plain_case({128, 3, 6200}, Target::labels_uint8));  // of one thread
  Case test = plain_case({1, 3, 132000}, Target::dense_like);
  test.channels_last = true;
  expect_rounds(test, kFocal);
  test = plain_case({1, 1, 4300000}, Target::dense_like);
  test.activation = reference::Activation::sigmoid;
  expect_rounds(test);
  expect_rounds(test, kFocal);  // registers
}

/// A call on some of the samples, with the statistics of all, gives that part of the whole gradient.
inline void merged_statistics() {
  test_name = "a part of merged statistics";
  Case test = plain_case({3, 3, 200});
  Arrays arrays(test);
  cuda::DeviceCall call = call_of(test, arrays);
  call.options.pooled = false;
  call.options.reduction = Reduction::mean;
  const size_t elements = Arrays::elements(test), part = elements / 3;
  Buffer statistics(DType::float64, 3 * 3 * kSumCount), value(DType::float64, 9);
  Buffer whole(DType::float32, elements), last(DType::float32, part);
  call.statistics = statistics.doubles();
  call.value = value.doubles();
  call.grad.data = whole.data();
  enqueue(call);
  call.steps = kGradient;
  call.statistics_samples = 3;
  call.sample_offset = 2;
  call.in.samples = 1;
  call.in.predictions.data = arrays.predictions.data() + 2 * part * sizeof(float);
  call.in.target.data = arrays.target.data() + 2 * 200 * sizeof(int32_t);
  if (call.in.weight.data) call.in.weight.data = arrays.weight.data() + 2 * 200 * size_of(arrays.weight.dtype);
  call.grad.data = last.data();
  enqueue(call);
  for (size_t i = 0; i < part; i++) expect(last.get(i) == whole.get(2 * part + i), "gradient " + std::to_string(i));
}

/// What does not fit a GPU is refused with a sentence, before the engine touches any memory.
inline void refusals() {
  test_name = "refusals";
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = 1;
  call.in.classes = 20000;
  call.in.voxels = 2;
  call.in.labels = false;
  call.in.activation = Activation::softmax;
  expect(cuda::unsupported(call) != nullptr, "20000 classes of a softmax are taken");
  expect(cuda::enqueue(call, nullptr, nullptr) == cudaErrorNotSupported, "and enqueued");
  call.in.activation = Activation::sigmoid;
  expect(cuda::unsupported(call) == nullptr, "20000 classes of a sigmoid are refused");
  call.steps |= kTargetGradient;  // which is made by tiles
  expect(cuda::unsupported(call) != nullptr, "the gradient of a target of 20000 classes is taken");
  expect(cuda::enqueue(call, nullptr, nullptr) == cudaErrorNotSupported, "and enqueued");
}

}  // namespace promises
