#pragma once
// Which voxels of a sample are of a class, in the predictions and in the target, by the rules of math/counts.h.
#include <vector>

#include "cpu/surface/grid.h"
#include "math/counts.h"

namespace warpdice::cpu {

/// Voxels [first, last) along each axis.
struct Box {
  int64_t first[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, last[3] = {0, 0, 0};
  bool empty() const { return last[0] == 0; }
};

/// The class of each voxel of one sample; -1 for none, as for voxels that are ignored and labels that are no class.
class ClassMaps {
 public:
  /// threshold: a voxel may have several classes, so these maps are of class `only` alone; else only is -1.
  ClassMaps(const CountInputs& inputs, const Grid& image, int64_t sample, int64_t only);

  /// What holds the voxels of these classes, in the predictions and in the target.
  Box box(const std::vector<int32_t>& classes) const;

  /// The box with a margin of one voxel around it.
  Grid grid(const Box& box) const;

  /// Writes the mask, 0 or 1, of these classes together in the box with a margin of zeros.
  void write_mask(bool predicted, const std::vector<int32_t>& classes, const Box& box, uint8_t* mask) const;

 private:
  void read(const CountInputs& inputs, int64_t sample, int64_t only);
  void find_boxes();
  template <class Inside>
  void write(bool predicted, const Box& box, uint8_t* mask, Inside inside) const;

  Grid image_;
  int64_t first_class_;
  std::vector<Box> boxes_;
  std::unique_ptr<int32_t[]> maps_[2];  // of the target, of the predictions
};

}  // namespace warpdice::cpu
