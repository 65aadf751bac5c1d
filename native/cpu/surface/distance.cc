#include "cpu/surface/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/memory/workspace.h"
#include "cpu/pool.h"
#include "cpu/surface/envelope.h"

namespace warpdice::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Steps to a voxel that is not there.
constexpr int32_t kNone = 1 << 30;

/// Pass 1: along axis 0, the number of voxels to the nearest one of `to`.
void count_steps(const Grid& grid, const uint8_t* to, int32_t* steps) {
  constexpr int64_t kColumns = 256;
  const int64_t Z = grid.sizes[0], X = grid.sizes[2], plane = grid.plane();
  const int64_t blocks = (X + kColumns - 1) / kColumns;
  const int64_t grain = std::max<int64_t>(1, 16384 / (Z * std::min(X, kColumns)));
  Pool::instance().parallel_for(grid.sizes[1] * blocks, grain, [&](int64_t i) {
    const int64_t x = i % blocks * kColumns, width = std::min(kColumns, X - x), at = i / blocks * X + x;
    for (int64_t k = 0; k < width; k++) steps[at + k] = to[at + k] ? 0 : kNone;
    for (int64_t z = 1; z < Z; z++) {
      int32_t* row = steps + at + z * plane;
      const uint8_t* is_there = to + at + z * plane;
      for (int64_t k = 0; k < width; k++) row[k] = is_there[k] ? 0 : row[k - plane] + 1;
    }
    for (int64_t z = Z - 2; z >= 0; z--) {
      int32_t* row = steps + at + z * plane;
      for (int64_t k = 0; k < width; k++) row[k] = std::min(row[k], row[k + plane] + 1);
    }
  });
}

/// Pass 2: along axis 1, the squared distances within the plane, from the steps along axis 0.
void cross_plane(const Grid& grid, const int32_t* steps, Envelope& envelope, double* squares) {
  const int64_t Y = grid.sizes[1], X = grid.sizes[2];
  const auto square = [&](int32_t count) {
    const double distance = count * grid.spacing[0];
    return distance * distance;
  };
  for (int64_t x = 0; x < X; x++) {
    if (Y == 1) {
      squares[x] = steps[x] >= kNone ? kInfinity : square(steps[x]);
      continue;
    }
    envelope.clear();
    for (int64_t y = 0; y < Y; y++) {
      if (steps[y * X + x] < kNone) envelope.add(y, square(steps[y * X + x]));
    }
    int64_t i = 0;
    for (int64_t y = 0; y < Y; y++) squares[y * X + x] = envelope.empty() ? kInfinity : envelope.at(y, i);
  }
}

/// Pass 3: along axis 2, the distances of the voxels of a row that are asked for. Returns how many there are.
int64_t cross_row(const double* squares, const uint8_t* from, int64_t length, Envelope& envelope, double* out) {
  if (std::none_of(from, from + length, [](uint8_t voxel) { return voxel != 0; })) return 0;
  envelope.clear();
  for (int64_t x = 0; x < length; x++) {
    if (squares[x] < kInfinity) envelope.add(x, squares[x]);
  }
  int64_t count = 0, i = 0;
  for (int64_t x = 0; x < length; x++) {
    if (from[x]) out[count++] = envelope.empty() ? kInfinity : std::sqrt(envelope.at(x, i));
  }
  return count;
}

}  // namespace

void distances(const Grid& grid, const uint8_t* to, const uint8_t* from, const int64_t* first, double* out) {
  const int64_t Y = grid.sizes[1], X = grid.sizes[2], plane = grid.plane();
  const auto steps = uninitialized<int32_t>(grid.voxels());
  count_steps(grid, to, steps.get());
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), [&](int64_t z) {
    if (first[z] == first[z + 1]) return;
    static thread_local Workspace workspace;
    const TrimmedAtEnd trimmed(workspace);
    const int64_t numbers = plane + Envelope::numbers(Y) + Envelope::numbers(X);
    auto* squares = static_cast<double*>(workspace.reserve(static_cast<size_t>(numbers) * sizeof(double)));
    Envelope across(squares + plane, Y, grid.spacing[1]);
    Envelope along(squares + plane + Envelope::numbers(Y), X, grid.spacing[2]);
    cross_plane(grid, steps.get() + z * plane, across, squares);
    double* to_here = out + first[z];
    for (int64_t y = 0; y < Y; y++) to_here += cross_row(squares + y * X, from + z * plane + y * X, X, along, to_here);
  });
}

}  // namespace warpdice::cpu
