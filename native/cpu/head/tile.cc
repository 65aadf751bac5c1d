#include "cpu/head/tile.h"

#include <algorithm>
#include <cmath>

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

constexpr int64_t kLineBytes = 64, kMaxVoxels = 1024;

/// Copies `count` voxels of all classes between an array [C,S] or [S,C] and a tile [C][stride].
template <class Bits>
void copy_voxels(bool to_tile, Bits* array, Bits* tile, int64_t classes, int64_t count, int64_t class_step,
                 int64_t voxel_step, int64_t stride) {
  for (int64_t c = 0; c < classes; c++) {
    Bits *const row = tile + c * stride, *const from = array + c * class_step;
    for (int64_t v = 0; v < count; v++) {
      if (to_tile) row[v] = from[v * voxel_step];
      else from[v * voxel_step] = row[v];
    }
  }
}

/// Hands out parts of one block of memory, each on a cache line.
class Places {
 public:
  size_t take(int64_t bytes) {
    const size_t at = used_;
    used_ += static_cast<size_t>((bytes + kLineBytes - 1) / kLineBytes * kLineBytes);
    return at;
  }
  size_t used() const { return used_; }

 private:
  size_t used_ = 0;
};

bool reads_dense(const Call& call) { return call.reads() && !call.in.labels; }

/// What a voxel takes in all arrays of a tile.
int64_t voxel_bytes(const Call& call, int64_t element_bytes) {
  const Inputs& in = call.in;
  const int64_t C = in.classes, K = call.head.channels;
  int64_t of_class = element_bytes;
  if (reads_dense(call)) {
    const int64_t arrays = call.steps & kTargetGradient ? 2 : 1;
    of_class += arrays * static_cast<int64_t>(size_of(in.target.dtype));
  }
  if (call.reads() && in.class_weight.data) of_class += static_cast<int64_t>(size_of(in.class_weight.dtype));
  return C * of_class + K * element_bytes * (call.head.weight_grad.data ? 2 : 1);
}

/// Voxels of a whole tile: its logits fill a part of the L2 cache, and all its arrays together take at most kAllBytes,
/// but for the voxels that the kernels compute at once, which are no fewer.
int64_t tile_voxels(const Call& call, int64_t at_once) {
  constexpr int64_t kTileBytes = 256 << 10, kAllBytes = 1 << 20;
  const int64_t element_bytes = call.in.predictions.dtype == DType::float64 ? 8 : 4;
  const int64_t widest = kTileBytes / (element_bytes * std::max(call.in.classes, call.head.channels));
  const int64_t all = kAllBytes / voxel_bytes(call, element_bytes) - kLineBytes / element_bytes;
  const int64_t fit = std::min(widest, all), step = fit < kRunAlignment ? at_once : kRunAlignment;
  return std::clamp(fit / step * step, at_once, kMaxVoxels);
}

}  // namespace

template <>
const Products<float>& products<float>() {
  return *kernels().products;
}
template <>
const Products<double>& products<double>() {
  return *kernels().products64;
}

template <class T>
Tile<T>::Tile(const Call& call, const Weights<T>& weights)
    : call_(call),
      weights_(weights),
      products_(products<T>()),
      classes_(call.in.classes),
      channels_(call.head.channels),
      voxels_(tile_voxels(call, products_.step)),
      // A line more than the voxels, so that the classes fall into different cache sets.
      stride_(voxels_ + kLineBytes / static_cast<int64_t>(sizeof(T))),
      in_(call.in) {
  constexpr int64_t kElement = sizeof(T);
  const int64_t target_bytes = reads_dense(call) ? classes_ * stride_ * size_of(call.in.target.dtype) : 0;
  Places places;
  const size_t logits = places.take(classes_ * stride_ * kElement);
  const size_t features = places.take(channels_ * stride_ * kElement);
  // The product reads rows in whole vectors: a line more.
  const size_t transposed = places.take(call.head.weight_grad.data ? channels_ * voxels_ * kElement + kLineBytes : 0);
  const size_t scratch = places.take(call.in.channels_last ? channels_ * products_.step * kElement : 0);
  const size_t target = places.take(target_bytes);
  const size_t target_grad = places.take(call.steps & kTargetGradient ? target_bytes : 0);
  const bool of_classes = call.reads() && call.in.class_weight.data;
  const size_t class_weight = places.take(of_classes ? classes_ * stride_ * size_of(call.in.class_weight.dtype) : 0);
  const size_t sums = places.take(classes_ * static_cast<int64_t>(sizeof(Sums)));
  char* memory = static_cast<char*>(tile_memory().reserve(places.used()));
  logits_ = reinterpret_cast<T*>(memory + logits);
  features_ = reinterpret_cast<T*>(memory + features);
  transposed_ = reinterpret_cast<T*>(memory + transposed);
  scratch_ = reinterpret_cast<T*>(memory + scratch);
  target_ = memory + target;
  target_grad_ = memory + target_grad;
  class_weight_ = memory + class_weight;
  sums_ = reinterpret_cast<Sums*>(memory + sums);

  in_.samples = 1;
  in_.voxels = stride_;
  in_.channels_last = false;
  in_.predictions = {logits_, sizeof(T) == 8 ? DType::float64 : DType::float32};
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

template <class T>
void Tile<T>::make_logits(int64_t n, int64_t s, int count) {
  n_ = n;
  s_ = s;
  count_ = count;
  products_.load(call_.in.predictions, features(), {n, s, count}, features_, stride_, scratch_);
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
  products_.multiply(product);
  if (!call_.reads()) return;

  const Inputs& in = call_.in;
  const int64_t first = n * in.voxels + s;
  if (in.weight.data) {
    in_.weight.data = static_cast<const char*>(in.weight.data) + first * static_cast<int64_t>(size_of(in.weight.dtype));
  }
  if (in.labels) {
    in_.target.data = static_cast<const char*>(in.target.data) + first * static_cast<int64_t>(size_of(in.target.dtype));
  } else {
    copy_dense(in.target.dtype, false, in.target.data, target_);
    in_.target.data = target_;
  }
  if (in.class_weight.data) {
    copy_dense(in.class_weight.dtype, false, in.class_weight.data, class_weight_);
    in_.class_weight.data = class_weight_;
  }
}

/// Between an array in the shape of the logits and the tile's own.
template <class T>
void Tile<T>::copy_dense(DType dtype, bool from_tile, const void* from, void* to) const {
  const Inputs& in = call_.in;
  const int64_t class_step = in.channels_last ? 1 : in.voxels, voxel_step = in.channels_last ? classes_ : 1;
  const int64_t first = n_ * in.voxels * classes_ + s_ * voxel_step;
  const auto copy = [&](auto bits) {
    using Bits = decltype(bits);
    Bits *a = static_cast<Bits*>(const_cast<void*>(from)), *b = static_cast<Bits*>(to);
    Bits *const array = (from_tile ? b : a) + first, *const tile = from_tile ? a : b;
    copy_voxels(!from_tile, array, tile, classes_, count_, class_step, voxel_step, stride_);
  };
  switch (size_of(dtype)) {
    case 1:
      return copy(uint8_t{});
    case 2:
      return copy(uint16_t{});
    case 4:
      return copy(uint32_t{});
    default:
      return copy(uint64_t{});
  }
}

template <class T>
LabelFault Tile<T>::add_statistics(Sums* sums) {
  LabelFault fault = kernels().statistics(in_, {0, 0, count_}, kernel_memory(), sums_, nullptr);
  for (int64_t c = 0; c < classes_; c++) add(sums[c], sums_[c]);
  move_index(fault);
  return fault;
}

/// From the tile's index of a dense array to that of the caller's.
template <class T>
void Tile<T>::move_index(LabelFault& fault) const {
  if (fault.count == 0) return;
  const int64_t c = fault.first_index / stride_, s = s_ + fault.first_index % stride_, S = call_.in.voxels;
  fault.first_index = call_.in.channels_last ? (n_ * S + s) * classes_ + c : (n_ * classes_ + c) * S + s;
}

template <class T>
void Tile<T>::make_probabilities() {
  // Step 1 keeps the probabilities for step 3. Its sums are of no use, and so may be its labels.
  static constexpr uint8_t kLabels[kMaxVoxels] = {};
  Inputs in = in_;
  in.labels = true;
  in.target = {kLabels, DType::uint8};
  const GradientOut keep = {logits_, in_.predictions.dtype, false, false};
  kernels().statistics(in, {0, 0, count_}, kernel_memory(), sums_, &keep);
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
  CountFaults faults = kernels().count(of_tile, {0, 0, count_}, kernel_memory(), counted);
  move_index(faults.predictions);
  if (!in_.labels) move_index(faults.target);
  else faults.target.first_index += n_ * call_.in.voxels + s_;
  return faults;
}

template <class T>
void Tile<T>::target_gradient(const Coefficients* coefficients) {
  GradientOut out = call_.target_grad;
  if (out.accumulate) copy_dense(out.dtype, false, out.data, target_grad_);
  out.data = target_grad_;
  kernels().target_gradient(in_, {0, 0, count_}, kernel_memory(), coefficients, out);
  copy_dense(out.dtype, true, target_grad_, call_.target_grad.data);
}

template <class T>
void Tile<T>::differentiate(const Coefficients* coefficients) {
  const GradientOut out = {logits_, in_.predictions.dtype, false, false};
  kernels().gradient(in_, {0, 0, count_}, kernel_memory(), coefficients, out, false);
}

template <class T>
void Tile<T>::add_weight_gradients(T* weight, double* bias) {
  if (bias) products_.add_rows(logits_, classes_, count_, stride_, bias);
  if (!weight) return;
  const GradientOut out = {transposed_, in_.predictions.dtype, false, false};
  products_.store(out, {channels_, count_, true}, {0, 0, count_}, features_, stride_, scratch_);
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
  products_.multiply(product);
}

/// Of voxels whose gradient is 0, such as those of weight 0, the features become 0: NaN times 0 would be NaN.
template <class T>
void Tile<T>::clear_unweighted() {
  bool any[kMaxVoxels] = {};
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
  products_.multiply(product);
  products_.store(call_.grad, features(), {n_, s_, count_}, features_, stride_, scratch_);
}

template class Tile<float>;
template class Tile<double>;

}  // namespace warpdice::cpu::head
