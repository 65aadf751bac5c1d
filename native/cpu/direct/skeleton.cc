#include "cpu/direct/skeleton.h"

#include <algorithm>
#include <iterator>
#include <type_traits>

#include "cpu/pool.h"

namespace warpdice::cpu::direct {
namespace {

template <class Task>
void in_planes(const Grid& grid, const Task& task) {
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), task);
}

/// A row of an image.
template <class T>
struct Row {
  const T* at;
  int64_t below, above, before, after;  // steps to its neighbours along axes 1 and 0; 0 where there is none

  Row(const Grid& grid, const T* image, int64_t z, int64_t y)
      : at(image + (z * grid.sizes[1] + y) * grid.sizes[2]),
        below(y > 0 ? -grid.sizes[2] : 0),
        above(y + 1 < grid.sizes[1] ? grid.sizes[2] : 0),
        before(z > 0 ? -grid.plane() : 0),
        after(z + 1 < grid.sizes[0] ? grid.plane() : 0) {}
};

template <class T>
void erode(const Grid& grid, const T* image, T* to) {
  const int64_t X = grid.sizes[2];
  in_planes(grid, [&](int64_t z) {
    for (int64_t y = 0; y < grid.sizes[1]; y++) {
      const Row<T> row(grid, image, z, y);
      const T *r = row.at, *below = r + row.below, *above = r + row.above, *before = r + row.before,
              *after = r + row.after;
      T* out = to + (r - image);
      for (int64_t x = 0; x < X; x++) {
        const T across = std::min(std::min(below[x], above[x]), std::min(before[x], after[x]));
        out[x] = std::min(across, r[x]);
      }
      for (int64_t x = 1; x < X; x++) out[x] = std::min(out[x], r[x - 1]);
      for (int64_t x = 0; x + 1 < X; x++) out[x] = std::min(out[x], r[x + 1]);
    }
  });
}

/// Voxels of a row that are dilated at a time, on the stack.
constexpr int64_t kPiece = 512;

/// The dilation of the `count` voxels of a row of X from `first` on.
template <class T>
void dilate(const Row<T>& row, int64_t X, int64_t first, int64_t count, T* out) {
  const T *r = row.at + first, *before = r + row.before, *after = r + row.after;
  const auto largest = [&](const T* plane, int64_t x) {
    return std::max(std::max(plane[x + row.below], plane[x + row.above]), plane[x]);
  };
  T room[kPiece + 2], *const across = room + 1;
  const int64_t begin = first > 0 ? -1 : 0, end = first + count < X ? count + 1 : count;
  for (int64_t x = begin; x < end; x++) {
    across[x] = std::max(std::max(largest(before, x), largest(after, x)), largest(r, x));
  }
  std::copy(across, across + count, out);
  for (int64_t x = begin + 1; x < count; x++) out[x] = std::max(out[x], across[x - 1]);
  for (int64_t x = 0; x + 1 < end; x++) out[x] = std::max(out[x], across[x + 1]);
}

/// d_k into `deltas` where that is not null, and s_k in place of s_(k-1).
template <class T>
void add_level(const Grid& grid, const T* image, const T* eroded, T* deltas, T* skeleton) {
  const int64_t X = grid.sizes[2];
  in_planes(grid, [&](int64_t z) {
    T opened[kPiece];
    for (int64_t y = 0; y < grid.sizes[1]; y++) {
      const Row<T> row(grid, eroded, z, y);
      for (int64_t begin = 0; begin < X; begin += kPiece) {
        const int64_t count = std::min(kPiece, X - begin), first = (z * grid.sizes[1] + y) * X + begin;
        dilate(row, X, begin, count, opened);
        for (int64_t x = 0; x < count; x++) {
          const T e = image[first + x], s = skeleton[first + x];
          const T delta = static_cast<T>(std::max(e, opened[x]) - opened[x]);
          if (deltas) deltas[first + x] = delta;
          skeleton[first + x] = static_cast<T>(s + std::max(T{0}, static_cast<T>(delta * static_cast<T>(1 - s))));
        }
      }
    }
  });
}

/// Calls task(z) for each plane, where a task may write to the planes z - 1 to z + 1 of an array: first for every
/// second slab of planes, then for the others. So each voxel is written by one thread at a time, in the same order with
/// any number of threads.
template <class Task>
void in_slabs(const Grid& grid, const Task& task) {
  const int64_t planes = std::max<int64_t>(2, grid.grain()), slabs = (grid.sizes[0] + planes - 1) / planes;
  for (int64_t odd = 0; odd < 2; odd++) {
    Pool::instance().parallel_for((slabs + 1 - odd) / 2, 1, [&](int64_t i) {
      const int64_t first = (2 * i + odd) * planes, end = std::min(first + planes, grid.sizes[0]);
      for (int64_t z = first; z < end; z++) task(z);
    });
  }
}

/// From one voxel to those whose value it may have taken.
struct Around {
  int64_t z0, z1, y0, y1, x0, x1;  // first and last steps, from -1 to 1

  Around(const Grid& grid, int64_t z, int64_t y, int64_t x)
      : z0(z > 0 ? -1 : 0),
        z1(z + 1 < grid.sizes[0] ? 1 : 0),
        y0(y > 0 ? -1 : 0),
        y1(y + 1 < grid.sizes[1] ? 1 : 0),
        x0(x > 0 ? -1 : 0),
        x1(x + 1 < grid.sizes[2] ? 1 : 0) {}
};

/// The step to the first of the largest among the 3 x 3 x 3 at `at`.
int64_t step_to_largest(const Grid& grid, const Around& around, const double* at) {
  int64_t best = around.z0 * grid.plane() + around.y0 * grid.sizes[2] + around.x0;
  double most = at[best];
  for (int64_t z = around.z0; z <= around.z1; z++) {
    for (int64_t y = around.y0; y <= around.y1; y++) {
      const int64_t row = z * grid.plane() + y * grid.sizes[2];
      for (int64_t step = row + around.x0; step <= row + around.x1; step++) {
        best = at[step] > most ? step : best;
        most = std::max(most, at[step]);
      }
    }
  }
  return best;
}

/// The step to the first of the least among the voxel at `at` and its neighbours along each axis.
int64_t step_to_least(const Grid& grid, const Around& around, const double* at) {
  const int64_t row = grid.sizes[2], plane = grid.plane();
  const int64_t steps[] = {around.z0 * plane, around.y0 * row, around.x0,        0,
                           around.x1,         around.y1 * row, around.z1 * plane};
  double least = at[0];
  for (const int64_t step : steps) least = std::min(least, at[step]);
  for (size_t i = 0; i < std::size(steps); i++) {
    const bool is_there = steps[i] != 0 || i == 3;  // i = 3: the voxel itself
    if (is_there && at[steps[i]] == least) return steps[i];
  }
  return 0;  // NaN
}

/// Adds factor * from[i] to where `choose` goes from voxel i of `values`.
template <class Choose>
void scatter(const Grid& grid, const double* values, const double* from, double factor, double* to,
             const Choose& choose) {
  in_slabs(grid, [&](int64_t z) {
    int64_t i = z * grid.plane();
    for (int64_t y = 0; y < grid.sizes[1]; y++) {
      for (int64_t x = 0; x < grid.sizes[2]; x++, i++) {
        if (from[i] == 0) continue;
        to[i + choose(grid, Around(grid, z, y, x), values + i)] += factor * from[i];
      }
    }
  });
}

/// From the gradient with respect to the skeleton that with respect to each d_k, in place of it.
void into_deltas(const Grid& grid, Levels& levels, const double* wrt_skeleton) {
  constexpr int64_t kVoxels = 4096;  // of a task, which has one scratch
  const int64_t count = levels.count(), voxels = grid.voxels();
  Pool::instance().parallel_for((voxels + kVoxels - 1) / kVoxels, 1, [&](int64_t task) {
    const auto room = uninitialized<double>(count);
    double* rests = room.get();  // 1 - s_(k-1)
    for (int64_t i = task * kVoxels; i < std::min((task + 1) * kVoxels, voxels); i++) {
      double rest = 1;
      for (int64_t k = 0; k < count; k++) {
        rests[k] = rest;
        rest -= std::max(0.0, levels.deltas(k)[i] * rest);
      }
      double slope = wrt_skeleton[i];
      for (int64_t k = count; k-- > 0;) {
        double& delta = levels.deltas(k)[i];
        const bool acts = delta * rests[k] > 0;
        const double own = acts ? slope * rests[k] : 0;
        slope *= acts ? 1 - delta : 1;
        delta = own;
      }
    }
  });
}

}  // namespace

template <class T>
void skeletonize(const Grid& grid, const T* image, int64_t iterations, T* skeleton, Levels* levels) {
  const int64_t voxels = grid.voxels();
  std::fill(skeleton, skeleton + voxels, T{0});
  if constexpr (std::is_same_v<T, double>) {
    if (levels) {
      levels->allocate(voxels, iterations + 1);
      for (int64_t k = 0; k <= iterations; k++) {
        erode(grid, image, levels->eroded(k));
        add_level(grid, image, levels->eroded(k), levels->deltas(k), skeleton);
        image = levels->eroded(k);
      }
      return;
    }
  }
  const std::unique_ptr<T[]> eroded[2] = {uninitialized<T>(voxels), uninitialized<T>(voxels)};
  for (int64_t k = 0; k <= iterations; k++) {
    erode(grid, image, eroded[k % 2].get());
    add_level<T>(grid, image, eroded[k % 2].get(), nullptr, skeleton);
    image = eroded[k % 2].get();
  }
}

template void skeletonize<double>(const Grid&, const double*, int64_t, double*, Levels*);
template void skeletonize<uint8_t>(const Grid&, const uint8_t*, int64_t, uint8_t*, Levels*);

void add_skeleton_gradient(const Grid& grid, const double* image, Levels& levels, const double* wrt_skeleton,
                           double* slopes) {
  into_deltas(grid, levels, wrt_skeleton);
  const auto last = std::make_unique<double[]>(static_cast<size_t>(grid.voxels()));  // zeros
  double* wrt_eroded = last.get();
  for (int64_t k = levels.count(); k-- > 0;) {
    const double *eroded = levels.eroded(k), *from = k > 0 ? levels.eroded(k - 1) : image;
    double* wrt_delta = levels.deltas(k);
    scatter(grid, eroded, wrt_delta, -1, wrt_eroded, step_to_largest);
    scatter(grid, from, wrt_eroded, 1, wrt_delta, step_to_least);  // which becomes the gradient with respect to E_k
    wrt_eroded = wrt_delta;
  }
  in_planes(grid, [&](int64_t z) {
    for (int64_t i = z * grid.plane(); i < (z + 1) * grid.plane(); i++) slopes[i] += wrt_eroded[i];
  });
}

}  // namespace warpdice::cpu::direct
