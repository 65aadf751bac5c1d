#pragma once
// The soft skeleton of an image (Shit et al., CVPR 2021, algorithm 1). With E_0 the image, E_(k+1) the erosion of E_k
// and O_k the dilation of E_(k+1):
//   d_k = relu(E_k - O_k)        s_0 = d_0, s_k = s_(k-1) + relu(d_k * (1 - s_(k-1)))        k up to the iterations
// The erosion is the least of a voxel and its neighbours along each axis, the dilation the largest of the 3 x 3 x 3
// around it (2D: 3 x 3). Voxels beyond the border are left out.
#include "cpu/surface/grid.h"

namespace warpdice::cpu::direct {

/// What the gradient needs: two numbers per voxel and level.
class Levels {
 public:
  void allocate(int64_t voxels, int64_t count) {
    voxels_ = voxels;
    count_ = count;
    numbers_ = uninitialized<double>(2 * count * voxels);
  }
  int64_t count() const { return count_; }
  double* eroded(int64_t k) { return numbers_.get() + 2 * k * voxels_; }        // E_(k+1)
  double* deltas(int64_t k) { return numbers_.get() + (2 * k + 1) * voxels_; }  // d_k

 private:
  int64_t voxels_ = 0, count_ = 0;
  std::unique_ptr<double[]> numbers_;
};

/// T: double or uint8_t. levels: filled unless it is null; only for double.
template <class T>
void skeletonize(const Grid& grid, const T* image, int64_t iterations, T* skeleton, Levels* levels);

/// Adds to `slopes` the gradient with respect to the image, from that with respect to the skeleton. Of several voxels
/// that are the least or the largest the first takes the gradient. Destroys the levels.
void add_skeleton_gradient(const Grid& grid, const double* image, Levels& levels, const double* wrt_skeleton,
                           double* slopes);

}  // namespace warpdice::cpu::direct
