#pragma once
// Compares a call of the engine with reference.h, and says what differs.
#include <cstdio>

#include "cases.h"

namespace compare {

using namespace warpdice;
using namespace cases;

inline int failures = 0;
inline std::string test_name;

inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  if (failures > 20) return;
  std::printf("FAILED %s: %s\n", test_name.c_str(), what.c_str());
  std::fflush(stdout);  // shown even if the next case never ends
}

/// The same, of a function that says what: to write out each element of an array takes longer than to compute it.
template <class What>
auto expect(bool holds, What what) -> decltype(void(what())) {
  if (!holds) expect(false, what());
}

inline void enqueue(const cuda::DeviceCall& call) {
  const char* reason = cuda::unsupported(call);
  expect(!reason, reason ? reason : "");
  if (reason) return;
  Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
  const cudaError_t status = cuda::enqueue(call, workspace.data(), nullptr);
  expect(status == cudaSuccess, "error " + std::to_string(status) + " " + simt::last_fault());
}

inline double unit_roundoff(DType dtype) {
  const double units[] = {0x1p-24, 0x1p-53, 0x1p-11, 0x1p-8};
  return units[static_cast<int>(dtype)];
}

inline bool is_half(DType dtype) { return size_of(dtype) == 2; }

/// How far sums and losses may be off.
inline double tolerance_of(DType dtype) { return dtype == DType::float64 ? 1e-12 : 1e-6; }

inline void compare_statistics(const Buffer& got, const reference::Rows& want, const Case& test,
                               const cuda::DeviceCall& call) {
  const Inputs& in = call.in;
  const bool made[] = {true, true, true, true, true, in.cross_entropy, in.uniform, in.focal};
  for (size_t i = 0; i < want.size(); i++) {
    for (size_t k = 0; k < reference::kSums; k++) {
      const double sum = got.get(i * reference::kSums + k);
      const double wanted = made[k] ? static_cast<double>(want[i].x[k]) : 0;
      expect(std::fabs(sum - wanted) <= tolerance_of(test.dtype) * std::fmax(std::fabs(wanted), 1e-3), [&] {
        return "sum " + std::to_string(k) + " of row " + std::to_string(i) + " is " + std::to_string(sum) + ", not " +
               std::to_string(wanted);
      });
    }
  }
}

/// A loss is 1 - r: with few voxels the rounding of r is an error relative to 1. Where it is far above 1, as a
/// Wasserstein loss of one voxel can be, r divides by a difference that is as much smaller than its terms.
inline void compare_value(const Buffer& got, const reference::Array& want, const Case& test) {
  const double scale = test.shape.S < 32 ? 1 : 0.1;
  for (size_t i = 0; i < want.size(); i++) {
    const double size = std::fabs(want[i]);
    expect(std::fabs(got.get(i) - want[i]) <= tolerance_of(test.dtype) * std::fmax(size * std::fmax(size, 1), scale),
           "value " + std::to_string(i) + " is " + std::to_string(got.get(i)) + ", not " + std::to_string(want[i]));
  }
}

/// added: what the gradient was added to.
inline void compare_gradient(const char* what, const Buffer& got, const reference::Array& want, double added,
                             const Case& test, const reference::Problem& x) {
  double largest = 0;
  for (double g : want) largest = std::fmax(largest, std::fabs(g));
  // The coefficients of the reference are differences: with 530 classes they are off by 1.2e-9 of the largest.
  const double tolerance = test.dtype == DType::float64 ? 4e-9 : 1e-5, u = unit_roundoff(got.dtype);
  const double least = is_half(got.dtype) ? 0x1p-24 : 0;
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t c = 0; c < x.C; c++) {
      for (int64_t s = 0; s < x.S; s++) {
        const double wanted = want[x.at(n, c, s)] + added, g = got.get(Arrays::lies_at(test, n, c, s));
        expect(std::fabs(g - wanted) <= tolerance * largest + u * std::fabs(wanted) + least, [&] {
          return what + std::string(" at ") + std::to_string(n) + "," + std::to_string(c) + "," + std::to_string(s) +
                 " is " + std::to_string(g) + ", not " + std::to_string(wanted);
        });
        if (g != added && !x.counts(n, c, s)) expect(false, "no weight, a gradient");
      }
    }
  }
}

/// All steps of a case, with the options that take turns.
inline void run(const Case& test, Arrays& arrays) {
  reference::Problem& x = arrays.x;
  cuda::DeviceCall call = call_of(test, arrays);
  const bool accumulates = test.bit(8), in_place = test.bit(9) && !accumulates;
  const bool widens = is_half(test.dtype) && test.bit(10) && !in_place;
  const bool for_target = test.target >= Target::dense_like;
  constexpr double kBefore = 0.25;
  const size_t elements = Arrays::elements(test), rows = static_cast<size_t>(x.groups() * x.C);
  Buffer value(DType::float64, rows), statistics(DType::float64, rows * kSumCount), device_scale(DType::float32, 1);
  Buffer gradient(widens ? DType::float32 : test.dtype, elements, test.bit(13)),
      target_gradient(arrays.target.dtype, elements);
  for (size_t i = 0; i < elements && accumulates; i++) gradient.set(i, kBefore);
  LabelFault faults{1, 1, 1};
  call.scale = x.scale / 16;
  device_scale.set(0, 16);
  call.device_scale = device_scale.operand();
  const bool has_statistics = test.bit(23);  // else the cross-entropy need only be right as a sum over the classes
  call.statistics = has_statistics ? statistics.doubles() : nullptr;
  call.value = value.doubles();
  call.faults = &faults;
  const Buffer& out = in_place ? arrays.predictions : gradient;
  call.grad.data = out.data();
  call.grad.dtype = gradient.dtype;
  call.grad.accumulate = accumulates;
  if (for_target) call.steps |= kTargetGradient;
  call.target_grad.data = target_gradient.data();
  call.target_grad.dtype = target_gradient.dtype;
  enqueue(call);

  const reference::Result want = reference::solve(x);
  expect(faults.count == 0, "valid labels are faults");
  if (has_statistics) compare_statistics(statistics, want.sums, test, call);
  compare_value(value, want.value, test);
  compare_gradient("gradient", out, want.gradient, accumulates ? kBefore : 0, test, x);
  if (for_target) compare_gradient("gradient of the target", target_gradient, want.target_gradient, 0, test, x);
}

inline void run(const Case& test) {
  Arrays arrays(test);
  run(test, arrays);
}

}  // namespace compare
