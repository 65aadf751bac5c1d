#include "cpu/head/tile.h"

#include <algorithm>
#include <cmath>

#include "cpu/memory/read_values.h"
#include "cpu/memory/workspace.h"
#include "cpu/strategy.h"

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
      few_classes_(has_few_classes(call.in)),
      memory_(static_cast<char*>(tile_memory().reserve(size_.tile_bytes))),
      logits_(reinterpret_cast<T*>(memory_ + size_.logits)),
      features_(reinterpret_cast<T*>(memory_ + size_.features)),
      transposed_(reinterpret_cast<T*>(memory_ + size_.transposed)),
      sums_(reinterpret_cast<Sums*>(memory_ + size_.sums)),
      grad_(call.grad),
      in_(call.in) {
  in_.samples = 1;
  in_.voxels = stride_;
  in_.channels_last = false;
  in_.padded = true;
  in_.predictions = {logits_, kComputed};
  grad_.streaming = may_stream();
}

template <class T>
Tile<T>::~Tile() {
  if (grad_.streaming) converters_.fence();
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
void Tile<T>::make_logits(int64_t n, int64_t s, int count, bool needs_features) {
  n_ = n;
  s_ = s;
  count_ = count;
  const bool reads_rows = few_classes_ && has_own_rows(call_.in.predictions.dtype);
  const int read = reads_rows ? whole_steps() : 0;
  if (read > 0) {
    const T* const from = static_cast<const T*>(call_.in.predictions.data) + place_of_features();
    // Rows that are a power of two apart leave the caches before a second read of a feature.
    const bool copies = needs_features || classes_ > products<T>().rows_read_once;
    multiply_logits(0, read, from, call_.in.voxels, copies ? features_ : nullptr);
  }
  if (read < count) {
    const RowsAt rest = {n, s + read, count - read};
    converters_.load(call_.in.predictions, features(), rest, features_ + read, stride_, scratch(channels_));
    multiply_logits(read, count - read, features_ + read, stride_, nullptr);
  }
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

/// Of `count` voxels from the tile's voxel `first` on. from: their features.
template <class T>
void Tile<T>::multiply_logits(int first, int count, const T* from, int64_t from_row, T* copy) {
  Product<T> product = {};
  product.rows = classes_;
  product.inner = channels_;
  product.columns = count;
  product.a = weights_.weight;
  product.a_row = channels_;
  product.a_inner = 1;
  product.b = from;
  product.b_inner = from_row;
  product.to = logits_ + first;
  product.to_row = stride_;
  product.start = weights_.bias;
  product.copy = copy;
  product.copy_row = stride_;
  products<T>().multiply(product);
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
  if (few_classes_) {
    if (call_.in.weighted()) {
      for_unweighted([&](int v) {
        for (int64_t k = 0; k < channels_; k++) features_[k * stride_ + v] = 0;
      });
    }
    products<T>().multiply_rows(
        {classes_, count_, channels_, logits_, stride_, features_, stride_, weight, padded_channels(channels_)});
    return;
  }
  const GradientOut out = {transposed_, kComputed, false, false};
  converters_.store(out, {channels_, count_, true}, {0, 0, count_}, features_, stride_, nullptr);
  if (call_.in.weighted()) {
    for_unweighted([&](int v) { std::fill(transposed_ + v * channels_, transposed_ + (v + 1) * channels_, T{0}); });
  }
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

/// Calls clear(v) for voxels whose gradient is 0, such as those of weight 0. Their features become 0: NaN times 0 would
/// be NaN.
template <class T>
template <class Clear>
void Tile<T>::for_unweighted(Clear clear) const {
  bool any[kMaxTileVoxels] = {};
  for (int64_t c = 0; c < classes_; c++) {
    const T* const row = logits_ + c * stride_;
    for (int v = 0; v < count_; v++) any[v] |= row[v] != 0;
  }
  for (int v = 0; v < count_; v++) {
    if (!any[v]) clear(v);
  }
}

/// Whether the features' gradient is written around the caches, which could not hold it. Not where it is read first.
template <class T>
bool Tile<T>::may_stream() const {
  const Inputs& in = call_.in;
  if (!(call_.steps & kGradient) || !call_.grad.data) return false;
  const size_t element_bytes = size_of(in.predictions.dtype) + size_of(call_.grad.dtype);
  const int64_t bytes = in.samples * channels_ * in.voxels * static_cast<int64_t>(element_bytes);
  const bool writes_bytes = call_.grad.dtype == kComputed || features().channels_last;
  return writes_bytes && bytes > Capabilities{}.cache_bytes && !call_.grad.accumulate &&
         call_.grad.data != in.predictions.data;
}

/// Whether products may write the features' gradient around the caches: of many terms only whole cache lines, at every
/// tile. Parts of lines took ten times as long.
template <class T>
bool Tile<T>::streams_products() const {
  constexpr int kLineBytes = 64;
  return classes_ <= kFewTerms ||
         (products<T>().bytes_together >= kLineBytes && reinterpret_cast<uintptr_t>(grad_.data) % kLineBytes == 0 &&
          static_cast<uintptr_t>(call_.in.voxels) * sizeof(T) % kLineBytes == 0);
}

template <class T>
void Tile<T>::store_feature_gradient(bool begins, bool ends) {
  const bool writes_rows = has_own_rows(grad_.dtype) && !grad_.accumulate && (!grad_.streaming || streams_products());
  const bool any_length = grad_.streaming && classes_ <= kFewTerms;
  const int written = !writes_rows ? 0 : any_length ? count_ : whole_steps();
  if (written > 0) {
    T* const to = static_cast<T*>(grad_.data) + place_of_features();
    Product<T> product = feature_gradient(0, written, to, call_.in.voxels);
    product.streams = grad_.streaming;
    if (any_length) product.waiting = reinterpret_cast<T*>(memory_ + size_.waiting);
    product.begins = begins;
    product.ends = ends;
    products<T>().multiply(product);
  }
  if (written == count_) return;
  const RowsAt rest = {n_, s_ + written, count_ - written};
  products<T>().multiply(feature_gradient(written, count_ - written, features_, stride_));
  converters_.store(grad_, features(), rest, features_, stride_, scratch(channels_));
}

/// Of `count` voxels from the tile's voxel `first` on, to [K][to_row].
template <class T>
Product<T> Tile<T>::feature_gradient(int first, int count, T* to, int64_t to_row) const {
  Product<T> product = {};
  product.rows = channels_;
  product.inner = classes_;
  product.columns = count;
  product.a = weights_.weight;
  product.a_row = 1;
  product.a_inner = channels_;
  product.b = logits_ + first;
  product.b_inner = stride_;
  product.to = to;
  product.to_row = to_row;
  return product;
}

template class Tile<float>;
template class Tile<double>;

}  // namespace warpdice::cpu::head
