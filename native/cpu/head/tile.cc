#include "cpu/head/tile.h"

#include <algorithm>
#include <cmath>

#include "cpu/memory/read_values.h"
#include "cpu/memory/workspace.h"

namespace warpdice::cpu::head {
namespace {

/// Of a tile, and of the kernels that it calls.
Workspace& tile_memory() {
  static thread_local Workspace memory;
  return memory;
}
Workspace& kernel_memory() {
  static thread_local Workspace memory;
  return memory;
}

}  // namespace

template <>
const Products<float>& products<float>(const Kernels& of) {
  return *of.products;
}
template <>
const Products<double>& products<double>(const Kernels& of) {
  return *of.products64;
}

template <class T>
Tile<T>::Tile(const Call& call, const Weights<T>& weights)
    : call_(call),
      weights_(weights),
      kernels_(tile_kernels(call)),
      converters_(products<T>(kernels_)),
      size_(tile_size(call, kernels_.vector_bytes)),
      classes_(call.in.classes),
      channels_(call.head.channels),
      stride_(size_.stride),
      memory_(static_cast<char*>(tile_memory().reserve(size_.tile_bytes))),
      logits_(reinterpret_cast<T*>(memory_ + size_.logits)),
      features_(reinterpret_cast<T*>(memory_ + size_.features)),
      transposed_(reinterpret_cast<T*>(memory_ + size_.transposed)),
      sums_(reinterpret_cast<Sums*>(memory_ + size_.sums)),
      in_(call.in) {
  in_.samples = 1;
  in_.voxels = stride_;
  in_.channels_last = false;
  in_.padded = true;
  in_.predictions = {logits_, kComputed};
}

template <class T>
Tile<T>::~Tile() {
  tile_memory().trim();
  kernel_memory().trim();
}

template <class T>
Rows Tile<T>::features() const {
  return {channels_, call_.in.voxels, call_.in.channels_last && channels_ > 1};
}

/// Of arrays in the shape of the logits.
template <class T>
Rows Tile<T>::dense() const {
  return {classes_, call_.in.voxels, call_.in.channels_last && classes_ > 1};
}

/// For a conversion of [rows] that are channels last: memory of the passes, which run before or after it.
template <class T>
T* Tile<T>::scratch(int64_t rows) const {
  if (!call_.in.channels_last) return nullptr;
  return static_cast<T*>(kernel_memory().reserve(step_bytes(rows, kernels_.vector_bytes)));
}

template <class T>
void Tile<T>::make_logits(int64_t n, int64_t s, int count) {
  n_ = n;
  s_ = s;
  count_ = count;
  converters_.load(call_.in.predictions, features(), {n, s, count}, features_, stride_, scratch(channels_));
  Product<T> product = {};
  product.rows = classes_;
  product.inner = channels_;
  product.columns = count;
  product.a = weights_.weight;
  product.a_row = channels_;
  product.a_inner = 1;
  product.b = features_;
  product.b_inner = stride_;
  product.to = logits_;
  product.to_row = stride_;
  product.start = weights_.bias;
  products<T>().multiply(product);
  const int64_t steps_end = (count + converters_.step - 1) / converters_.step * converters_.step;
  for (int64_t c = 0; c < classes_ && count < steps_end; c++) {
    std::fill(logits_ + c * stride_ + count, logits_ + c * stride_ + steps_end, T{0});
  }
  if (!call_.reads()) return;

  const Inputs& in = call_.in;
  const int64_t first = n * in.voxels + s;
  if (in.weight.data) {
    in_.weight.data = static_cast<const char*>(in.weight.data) + first * static_cast<int64_t>(size_of(in.weight.dtype));
  }
  if (in.labels) {
    in_.target.data = static_cast<const char*>(in.target.data) + first * static_cast<int64_t>(size_of(in.target.dtype));
  } else {
    in_.target = load_dense(in.target, size_.target);
  }
  if (in.class_weight.data) in_.class_weight = load_dense(in.class_weight, size_.class_weight);
}

/// An array in the shape of the logits, to a place in the tile's memory.
template <class T>
Operand Tile<T>::load_dense(const Operand& from, size_t place) {
  T* const to = reinterpret_cast<T*>(memory_ + place);
  if (from.dtype <= DType::uint8) {
    converters_.load(from, dense(), {n_, s_, count_}, to, stride_, scratch(classes_));
    return {to, kComputed};
  }
  // A mask of wider integers, for metrics only.
  const bool last = dense().channels_last;
  double row[kMaxTileVoxels];
  for (int64_t c = 0; c < classes_; c++) {
    read_values(from, place_of(c, s_), last ? classes_ : 1, count_, row);
    for (int64_t v = 0; v < stride_; v++) to[c * stride_ + v] = v < count_ ? static_cast<T>(row[v]) : T{0};
  }
  return {to, kComputed};
}

template <class T>
LabelFault Tile<T>::add_statistics(Sums* sums) {
  LabelFault fault = kernels_.statistics(in_, {0, 0, count_}, kernel_memory(), sums_, nullptr);
  for (int64_t c = 0; c < classes_; c++) add(sums[c], sums_[c]);
  move_index(fault);
  return fault;
}

/// The element of class c and voxel s in the arrays in the shape of the logits.
template <class T>
int64_t Tile<T>::place_of(int64_t c, int64_t s) const {
  const int64_t S = call_.in.voxels;
  return call_.in.channels_last ? (n_ * S + s) * classes_ + c : (n_ * classes_ + c) * S + s;
}

/// From the tile's index of a dense array to that of the caller's.
template <class T>
void Tile<T>::move_index(LabelFault& fault) const {
  if (fault.count == 0) return;
  fault.first_index = place_of(fault.first_index / stride_, s_ + fault.first_index % stride_);
}

template <class T>
void Tile<T>::make_probabilities() {
  // Step 1 keeps the probabilities for step 3. Its sums are of no use, and so may be its labels.
  static constexpr uint8_t kLabels[kMaxTileVoxels] = {};
  Inputs in = in_;
  in.labels = true;
  in.target = {kLabels, DType::uint8};
  const GradientOut keep = {logits_, kComputed, false, false};
  kernels_.statistics(in, {0, 0, count_}, kernel_memory(), sums_, &keep);
  if (in.activation != Activation::sigmoid) return;
  // Of a sigmoid it keeps the smaller one of p and 1-p, with the sign of the logit.
  for (int64_t c = 0; c < classes_; c++) {
    T* const row = logits_ + c * stride_;
    for (int v = 0; v < count_; v++) row[v] = std::signbit(row[v]) ? -row[v] : 1 - row[v];
  }
}

template <class T>
CountFaults Tile<T>::count(const CountInputs& inputs, RunCounts& counted) {
  CountInputs of_tile = inputs;
  of_tile.in = in_;
  CountFaults faults = kernels_.count(of_tile, {0, 0, count_}, kernel_memory(), counted);
  move_index(faults.predictions);
  if (!in_.labels) move_index(faults.target);
  else faults.target.first_index += n_ * call_.in.voxels + s_;
  return faults;
}

template <class T>
void Tile<T>::target_gradient(const Coefficients* coefficients) {
  T* const to = reinterpret_cast<T*>(memory_ + size_.target_grad);
  const GradientOut out = {to, kComputed, false, false};
  kernels_.target_gradient(in_, {0, 0, count_}, kernel_memory(), coefficients, out);
  converters_.store(call_.target_grad, dense(), {n_, s_, count_}, to, stride_, scratch(classes_));
}

template <class T>
void Tile<T>::differentiate(const Coefficients* coefficients) {
  const GradientOut out = {logits_, kComputed, false, false};
  kernels_.gradient(in_, {0, 0, count_}, kernel_memory(), coefficients, out, false);
}

template <class T>
void Tile<T>::add_weight_gradients(T* weight, double* bias) {
  if (bias) converters_.add_rows(logits_, classes_, count_, stride_, bias);
  if (!weight) return;
  const GradientOut out = {transposed_, kComputed, false, false};
  converters_.store(out, {channels_, count_, true}, {0, 0, count_}, features_, stride_, nullptr);
  if (call_.in.weighted()) clear_unweighted();
  Product<T> product = {};
  product.rows = classes_;
  product.inner = count_;
  product.columns = channels_;
  product.a = logits_;
  product.a_row = stride_;
  product.a_inner = 1;
  product.b = transposed_;
  product.b_inner = channels_;
  product.to = weight;
  product.to_row = padded_channels(channels_);
  product.adds = true;
  products<T>().multiply(product);
}

/// Of voxels whose gradient is 0, such as those of weight 0, the features become 0: NaN times 0 would be NaN.
template <class T>
void Tile<T>::clear_unweighted() {
  bool any[kMaxTileVoxels] = {};
  for (int64_t c = 0; c < classes_; c++) {
    const T* const row = logits_ + c * stride_;
    for (int v = 0; v < count_; v++) any[v] |= row[v] != 0;
  }
  for (int v = 0; v < count_; v++) {
    if (!any[v]) std::fill(transposed_ + v * channels_, transposed_ + (v + 1) * channels_, T{0});
  }
}

template <class T>
void Tile<T>::store_feature_gradient() {
  Product<T> product = {};
  product.rows = channels_;
  product.inner = classes_;
  product.columns = count_;
  product.a = weights_.weight;
  product.a_row = 1;
  product.a_inner = channels_;
  product.b = logits_;
  product.b_inner = stride_;
  product.to = features_;
  product.to_row = stride_;
  products<T>().multiply(product);
  converters_.store(call_.grad, features(), {n_, s_, count_}, features_, stride_, scratch(channels_));
}

template class Tile<float>;
template class Tile<double>;

}  // namespace warpdice::cpu::head
