#pragma once
#include <cstdint>

namespace warpdice {

/// Values of an array that are invalid: labels that name no class, values other than 0 and 1 of an integer mask or
/// one-hot target, and floats that can be no probability.
struct LabelFault {
  int64_t count = 0;
  int64_t first_index = 0;  // flat index into the array
  double first_value = 0;

  /// Adds the faults of another part of the same array.
  void add(const LabelFault& other) {
    if (other.count == 0) return;
    if (count == 0 || other.first_index < first_index) {
      first_index = other.first_index;
      first_value = other.first_value;
    }
    count += other.count;
  }
};

}  // namespace warpdice
