#pragma once
#include <cstdint>

namespace warpdice::cpu {

/// A place on a surface.
struct Place {
  double distance, size;
};

/// The number at position fraction * (count - 1) of the sorted distances, interpolated between two. Linear in the
/// number of places, which it reorders. count: at least 1.
double quantile(Place* places, int64_t count, double fraction);

/// The smallest distance such that the places up to it have that fraction of the total size. Linear too.
double quantile_by_size(Place* places, int64_t count, double fraction, double total);

}  // namespace warpdice::cpu
