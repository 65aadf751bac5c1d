#include "cpu/surface/quantile.h"

#include <algorithm>
#include <cmath>

namespace warpdice::cpu {
namespace {

/// Of sums of sizes, relative to the total: a share that is met but for rounding is met.
constexpr double kRounding = 1e-12;

bool nearer(const Place& a, const Place& b) { return a.distance < b.distance; }

}  // namespace

double quantile(Place* places, int64_t count, double fraction) {
  const double position = fraction * static_cast<double>(count - 1);
  const auto below = std::min(static_cast<int64_t>(position), count - 1);
  std::nth_element(places, places + below, places + count, nearer);
  const double lower = places[below].distance, part = position - static_cast<double>(below);
  if (part == 0 || below + 1 == count) return lower;
  const double upper = std::min_element(places + below + 1, places + count, nearer)->distance;
  return lower + (upper - lower) * part;
}

double quantile_by_size(Place* places, int64_t count, double fraction, double total) {
  Place *first = places, *last = places + count;
  double wanted = fraction * total - total * kRounding;
  while (last - first > 1) {
    Place* middle = first + (last - first) / 2;
    std::nth_element(first, middle, last, nearer);
    double size = 0;
    for (const Place* place = first; place < middle; place++) size += place->size;
    if (size >= wanted) {
      last = middle;
    } else {
      wanted -= size;
      first = middle;
    }
  }
  return first->distance;
}

}  // namespace warpdice::cpu
