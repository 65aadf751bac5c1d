#pragma once
// What the native tests share: counting checks, a generator, and half precision.
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "math/types.h"

namespace warpdice::test {

inline std::atomic<int> failures{0}, checks{0};

inline void expect_close(const char* what, double actual, double expected, double tolerance) {
  checks++;
  // Written so that NaN fails.
  if (std::fabs(actual - expected) <= tolerance) return;
  failures++;
  std::printf("%s: expected %.9g but received %.9g (tolerance %.1g)\n", what, expected, actual, tolerance);
}

/// A small generator of our own: the same numbers everywhere.
struct Random {
  uint32_t state = 1;
  double next() {  // in [0, 1)
    state = state * 1664525u + 1013904223u;
    return (state >> 8) / 16777216.0;
  }
};

inline uint16_t to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline double from_bfloat16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float result;
  std::memcpy(&result, &bits, 4);
  return result;
}

/// float16 from the finite values used here, and back; subnormals are not needed.
inline uint16_t to_float16(float value) {
  if (value == 0) return 0;
  int exponent;
  const double mantissa = std::frexp(std::fabs(value), &exponent);  // in [0.5, 1)
  const int rounded = static_cast<int>(std::lrint((mantissa * 2 - 1) * 1024));
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) + ((exponent + 14) << 10) + rounded);
}

inline double from_float16(uint16_t value) {
  if ((value & 0x7c00) == 0) return 0;  // zero; gradients are compared with a tolerance above
  const double magnitude = std::ldexp(1024 + (value & 0x3ff), ((value >> 10) & 0x1f) - 25);
  return value & 0x8000 ? -magnitude : magnitude;
}

/// An array of any dtype that is read and written as doubles.
struct Buffer {
  DType dtype;
  std::vector<uint8_t> bytes;

  Buffer(DType type, int64_t size) : dtype(type), bytes(static_cast<size_t>(size) * size_of(type)) {}

  double get(int64_t i) const {
    if (dtype == DType::uint8) return bytes[static_cast<size_t>(i)];
    if (dtype == DType::float32) return reinterpret_cast<const float*>(bytes.data())[i];
    if (dtype == DType::float64) return reinterpret_cast<const double*>(bytes.data())[i];
    const uint16_t half = reinterpret_cast<const uint16_t*>(bytes.data())[i];
    return dtype == DType::float16 ? from_float16(half) : from_bfloat16(half);
  }

  void set(int64_t i, double value) {
    const float single = static_cast<float>(value);
    if (dtype == DType::uint8) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(value);
    if (dtype == DType::float32) reinterpret_cast<float*>(bytes.data())[i] = single;
    if (dtype == DType::float64) reinterpret_cast<double*>(bytes.data())[i] = value;
    if (dtype == DType::float16) reinterpret_cast<uint16_t*>(bytes.data())[i] = to_float16(single);
    if (dtype == DType::bfloat16) reinterpret_cast<uint16_t*>(bytes.data())[i] = to_bfloat16(single);
  }

  Operand operand() const { return {bytes.data(), dtype}; }
};

/// Steps 1 and 3 against a loop in double; returns the number of cases. In engine_test.cc.
size_t test_engine();

/// Which calls are done how; in strategy_test.cc.
void test_strategy();

/// Whole calls against their steps one by one; in run_test.cc.
void test_run();

/// Step 2 against differences; in finalize_test.cc.
void test_finalize();

/// Hard metrics; in counts_test.cc.
void test_counts();

/// How runs of step 3 read and write; in paths_test.cc.
void test_paths();

/// Where the pool's threads run; in pool_test.cc.
void test_pool();

/// Calls with a head; in head_test.cc.
void test_head();

/// Works that wait in line; in work_queue_test.cc.
void test_work_queue();

/// What warpdice/mpi needs no MPI for; in mpi_test.cc.
void test_mpi();

}  // namespace warpdice::test
