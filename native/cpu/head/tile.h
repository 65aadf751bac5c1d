#pragma once
// The logits of a head, a tile of voxels at a time. A tile is a small call of its own: the kernels of the losses take
// it for predictions of one sample, so that every loss, option and dtype is computed as from logits in memory.
#include <cstdint>

#include "cpu/head/tile_size.h"

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

  /// Computes the logits of `count` voxels from voxel s of sample n on. needs_features: for add_weight_gradients().
  void make_logits(int64_t n, int64_t s, int count, bool needs_features);

  /// [C][stride()]
  const T* logits() const { return logits_; }
  int64_t stride() const { return stride_; }
  /// Of a whole tile.
  int64_t voxels() const { return size_.voxels; }

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
  /// begins, ends: it is the first, or the last, of a run of tiles, each of which begins where the one before it ends.
  void store_feature_gradient(bool begins, bool ends);

 private:
  void move_index(LabelFault& fault) const;
  template <class Clear>
  void for_unweighted(Clear clear) const;
  void multiply_logits(int first, int count, const T* from, int64_t from_row, T* copy);
  /// Whether an array like the features has a row for each channel, of the type of the computation.
  bool has_own_rows(DType dtype) const { return dtype == kComputed && !features().channels_last; }
  bool may_stream() const;
  bool streams_products() const;
  Product<T> feature_gradient(int first, int count, T* to, int64_t to_row) const;
  int whole_steps() const { return count_ / converters_.step * converters_.step; }
  int64_t place_of_features() const { return n_ * channels_ * call_.in.voxels + s_; }
  int64_t place_of(int64_t c, int64_t s) const;
  Operand load_dense(const Operand& from, size_t place);
  T* scratch(int64_t rows) const;
  Rows features() const;
  Rows dense() const;

  static constexpr DType kComputed = sizeof(T) == 8 ? DType::float64 : DType::float32;

  const Call& call_;
  const Weights<T> weights_;
  const Kernels& kernels_;
  const Products<T>& converters_;  // of the same target; products are made with the longest vectors
  const TileSize size_;
  const int64_t classes_, channels_, stride_;
  const bool few_classes_;
  int64_t n_ = 0, s_ = 0;
  int count_ = 0;
  char* const memory_;
  T *const logits_, *const features_, *const transposed_;
  Sums* const sums_;
  GradientOut grad_;  // of the features
  Inputs in_;         // of the tile
};

template <class T>
const Products<T>& products(const Kernels& of = kernels());

}  // namespace warpdice::cpu::head
