// Compares the CUDA kernels in the emulator with reference.h, in combinations of the lists in cases.h, and tests their
// other promises. Prints what differs. The exit status is 1 when something does.
//
//   kernels_test [order] [every] [text]
//
// The cases take turns in the scheduler's three orders: forward, backward, random. `order` (0, 1 or 2) moves every case
// on by so many orders, so that runs with 0, 1 and 2 together try them all. Of the cases whose name contains `text`,
// every `every`th one runs.
#include <cstdio>
#include <cstdlib>

#include "promises.h"
#include "team_promises.h"

namespace {

using namespace compare;
using namespace promises;

/// Runs cases, which take turns in the scheduler's orders.
struct CaseRunner {
  unsigned further, every;
  std::string text;
  unsigned number = 0, named = 0, done = 0;

  void operator()(Case test) {
    test.number = ++number;
    if (test.name().find(text) == std::string::npos || ++named % every != 0) return;
    done++;
    const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
    simt::config().order = orders[(number + further) % 3];
    simt::config().seed = number + further;
    test_name = test.name();
    run(test);
  }
};

template <class Visit>
void for_dtypes_activations_layouts(Visit visit) {
  for (DType dtype : kDTypes) {
    for (reference::Activation activation : kActivations) {
      for (bool channels_last : {false, true}) visit(dtype, activation, channels_last);
    }
  }
}

/// Every loss with every dtype, target, activation and layout. Shapes take turns.
void run_losses(CaseRunner& one) {
  size_t turn = 0;
  for (const LossCase& loss : kLosses) {
    for (Target target : kTargets) {
      for_dtypes_activations_layouts([&](DType dtype, reference::Activation activation, bool channels_last) {
        Case test{&loss, dtype, target, activation, channels_last, kShapes[0], 0};
        if (!test.makes_sense()) return;  // with any shape
        do test.shape = kShapes[turn++ % std::size(kShapes)];
        while (!test.makes_sense());
        one(test);
      });
    }
  }
}

/// Every shape with every dtype, activation and layout. Targets and two losses take turns.
void run_shapes(CaseRunner& one) {
  size_t turn = 0;
  const LossCase &all = kLosses[std::size(kLosses) - 1], &costs = kLosses[6];
  for_dtypes_activations_layouts([&](DType dtype, reference::Activation activation, bool channels_last) {
    for (const Shape& shape : kShapes) {
      const LossCase& loss = turn % 4 == 3 && activation != reference::Activation::none ? all : kLosses[0];
      const Case test{&loss, dtype, kTargets[turn++ % 5], activation, channels_last, shape, 0};
      if (test.makes_sense()) one(test);
    }
    if (activation != reference::Activation::softmax) return;
    for (const Shape& shape : kWideShapes) {
      for (const LossCase* loss : {&kLosses[0], &all, &costs}) {
        one({loss, dtype, kTargets[turn++ % 5], activation, channels_last, shape, 0});
      }
    }
  });
}

/// Predictions and a dense target of every pair of dtypes, in both geometries of the gradient.
void run_dtypes(CaseRunner& one) {
  for (DType dtype : kDTypes) {
    for (int i = 0; i < 3; i++) {
      for (const Shape& shape : {Shape{1, 3, 1033}, Shape{2, 19, 31}}) {
        one({kLosses + i, dtype, Target::dense_unlike, reference::Activation::sigmoid, i == 1, shape, 0});
      }
    }
  }
}

/// One class in half precision, of which a thread takes 16 voxels: the last thread of a row has 8 of them.
void run_half_steps(CaseRunner& one) {
  for (DType dtype : {DType::float16, DType::bfloat16}) {
    for (const Shape& shape : {Shape{2, 1, 24}, Shape{2, 1, 40}}) {
      one({&kLosses[0], dtype, Target::labels_uint8, reference::Activation::none, false, shape, 0});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  CaseRunner one{further, every, argc > 3 ? argv[3] : ""};
  run_losses(one);
  run_shapes(one);
  run_dtypes(one);
  run_half_steps(one);
  for (simt::Order order : {simt::Order::forward, simt::Order::backward, simt::Order::random}) {
    if (every > 41 && order != simt::Order::random) continue;  // npm test
    simt::config().order = order;
    invalid_labels();
    invalid_values();
  }
  nearly_commonest();
  wide_labels();
  shifted_targets();
  for (bool channels_last : {false, true}) bytes(channels_last);
  team_sizes(every);
  sigmoid_entropy();
  entropy_of_weighed_classes();
  entropy_of_each_class();
  invalid_labels_in_plain_rounds();
  many_partials();
  many_blocks();
  used_workspace();
  ignored_mask_values();
  nan_in_a_logit(one.text);
  low_logits(one.text);
  forbidden_classes();
  many_rows();
  same_bits();
  approximations();
  long_rows(every);
  merged_statistics();
  refusals();
  std::printf("%u cases, %d failures\n", one.done, failures);
  return failures == 0 ? 0 : 1;
}
