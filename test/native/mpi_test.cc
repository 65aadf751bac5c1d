// The parts of warpdice/mpi that need no MPI: the frame, and half-precision numbers.
#include "math/frame.h"
#include "mpi/half.h"

#include <cmath>
#include <vector>

#include "check.h"

namespace warpdice::test {
namespace {

/// What an all-reduce of these ranks' frames gives.
Frame sum_of(const std::vector<Frame>& frames) {
  Frame sum = frames[0];
  for (size_t rank = 1; rank < frames.size(); ++rank) {
    Frame own = frames[rank];
    for (int i = 0; i < Frame::kSize; ++i) sum.numbers()[i] += own.numbers()[i];
  }
  return sum;
}

void test_frames() {
  for (const int ranks : {1, 2, 3, 16, 1000, 32768}) {
    std::vector<Frame> frames(static_cast<size_t>(ranks), Frame("sum of 12 float64", 2));
    expect_close("ranks at the same call agree", sum_of(frames).agrees(ranks), 1, 0);
    expect_close("their extras add up", sum_of(frames).extra(), 2.0 * ranks, 0);
    if (ranks == 1) continue;
    expect_close("one is missing", sum_of(frames).agrees(ranks + 1), 0, 0);
    frames[static_cast<size_t>(ranks) / 2] = Frame("sum of 13 float64", 2);
    expect_close("one of many is at another call", sum_of(frames).agrees(ranks), 0, 0);
  }
  // What foreign memory could hold.
  Frame broken("barrier", 0);
  for (const double wrong : {std::nan(""), HUGE_VAL, -1.0, 1e300}) {
    broken.numbers()[1] = wrong;
    expect_close("no numbers of a frame", broken.agrees(1), 0, 0);
  }
}

/// Of all halves: there and back, and what lies between two of them.
template <class From, class To>
void test_halves(const char* what, From from, To to, uint32_t infinity) {
  for (uint32_t half = 0; half < infinity; ++half) {
    const float value = from(static_cast<uint16_t>(half));
    expect_close(what, to(value), half, 0);
    expect_close(what, to(-value), half | 0x8000, 0);
    const float next = from(static_cast<uint16_t>(half + 1));
    if (std::isinf(next)) continue;
    const float middle = value / 2 + next / 2;
    expect_close("a tie is rounded to even", to(middle), half + (half & 1), 0);
    expect_close("below a tie", to(std::nextafter(middle, value)), half, 0);
    expect_close("above a tie", to(std::nextafter(middle, next)), half + 1, 0);
  }
  expect_close("infinity", to(from(static_cast<uint16_t>(infinity))), infinity, 0);
  expect_close("NaN", std::isnan(from(to(std::nanf("")))), 1, 0);
}

}  // namespace

void test_mpi() {
  test_frames();
  test_halves("float16", mpi::from_float16, mpi::to_float16, 0x7c00);
  test_halves("bfloat16", mpi::from_bfloat16, mpi::to_bfloat16, 0x7f80);
  expect_close("the largest float16", mpi::to_float16(65519.F), 0x7bff, 0);
  expect_close("above the largest float16", mpi::to_float16(65520.F), 0x7c00, 0);
  expect_close("1 in float16", mpi::from_float16(0x3c00), 1, 0);
  expect_close("the smallest float16", mpi::from_float16(1), 0x1p-24, 0);
}

}  // namespace warpdice::test
