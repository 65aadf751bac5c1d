#pragma once
// The logits of a head, a tile of voxels at a time. A tile is a small call of its own: the kernels of the losses take
// it for predictions of one sample, so that every loss, option and dtype is computed as from logits in memory.
#include <cstdint>

#include "cpu/kernels/kernels.h"
#include "math/call.h"

namespace warpdice::cpu::head {

/// The weights in the type of the computation, which is float for halves.
template <class T>
struct Weights {
  const T* weight;  // [C,K]
  const T* bias;    // [C] or null
};

/// Elements of a row of a part of the weight's gradient.
inline int64_t padded_channels(int64_t channels) { return (channels + 15) / 16 * 16; }

/// Works in the memory of its thread, of which one tile may be alive.
template <class T>
class Tile {
 public:
  Tile(const Call& call, const Weights<T>& weights);
  Tile(const Tile&) = delete;
  Tile& operator=(const Tile&) = delete;
  ~Tile();

  /// Computes the logits of `count` voxels from voxel s of sample n on.
  void make_logits(int64_t n, int64_t s, int count);

  /// [C][stride()]
  const T* logits() const { return logits_; }
  int64_t stride() const { return stride_; }
  /// Of a whole tile.
  int64_t voxels() const { return voxels_; }

  /// Step 1: adds to sums [C]. Returns values of a dense target that are out of range.
  LabelFault add_statistics(Sums* sums);

  /// Replaces the logits by the activation's probabilities.
  void make_probabilities();

  /// Counts hard metrics.
  CountFaults count(const CountInputs& inputs, RunCounts& counted);

  /// Step 3 for the target. coefficients: [C].
  void target_gradient(const Coefficients* coefficients);

  /// Step 3: replaces the logits by dL/dlogits.
  void differentiate(const Coefficients* coefficients);

  /// dL/dweight[c,k] = sum_v dL/dlogits[c,v] * x[k,v], added to [C][padded_channels]; dL/dbias[c] = sum_v
  /// dL/dlogits[c,v], added to [C]. Either may be null.
  void add_weight_gradients(T* weight, double* bias);

  /// dL/dx[k,v] = sum_c weight[c,k] * dL/dlogits[c,v], to the call's array. The last use of the tile's features.
  void store_feature_gradient();

 private:
  void move_index(LabelFault& fault) const;
  void clear_unweighted();
  void copy_dense(DType dtype, bool from_tile, const void* from, void* to) const;
  Rows features() const;

  const Call& call_;
  const Weights<T> weights_;
  const Products<T>& products_;
  const int64_t classes_, channels_, voxels_, stride_;
  int64_t n_ = 0, s_ = 0;
  int count_ = 0;
  Inputs in_;  // of the tile
  T *features_, *transposed_, *scratch_, *logits_;
  char *target_, *target_grad_, *class_weight_;
  Sums* sums_;
};

template <class T>
const Products<T>& products();

}  // namespace warpdice::cpu::head
