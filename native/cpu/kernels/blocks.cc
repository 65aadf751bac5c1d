// The staging functions of blocks.h, compiled once for all passes.
#include "cpu/kernels/blocks.h"

#include "cpu/kernels/count_labels.h"

namespace warpdice::cpu::WARPDICE_TARGET {

template <class T>
void Blocks<T>::count_labels(const Block& block, int64_t* counts) const {
  if (in_.target.dtype == DType::uint8) {
    const uint8_t* labels = static_cast<const uint8_t*>(in_.target.data) + run_.n * in_.voxels + block.s;
    count_each(labels, block.voxels, in_.classes, label_base(in_), counts);
  } else {
    count_each(labels_, block.voxels, in_.classes, label_base(in_), counts);
  }
}

template <class T>
void Blocks<T>::load_labels(int64_t s, int count, bool weigh) {
  with_labels(in_.target, [&](const auto* labels) {
    using Label = std::remove_const_t<std::remove_pointer_t<decltype(labels)>>;
    const Label* from = labels + run_.n * in_.voxels + s;
    const LabelRule<Label> rule(in_);
    if constexpr (sizeof(Label) > sizeof(int32_t)) {
      for (int j = 0; j < count; j++) labels_[j] = rule.is_valid(from[j]) ? static_cast<int32_t>(from[j]) : -1;
    } else if constexpr (sizeof(Label) == sizeof(int32_t)) {  // what is no class stays none
      memcpy(labels_, from, count * sizeof(int32_t));
    } else {
      for (int j = 0; j < count; j++) labels_[j] = from[j];
    }
    if (weigh && in_.has_ignore) {
      for (int j = 0; j < count; j++) weights_[j] = rule.is_ignored(from[j]) ? T(0) : weights_[j];
    }
  });
  const int whole = (count + kStep<T> - 1) / kStep<T> * kStep<T>;
  for (int j = count; j < whole; j++) labels_[j] = -1;
}

template <class T>
void Blocks<T>::load_weights(int64_t s, int count) {
  const auto for_rows = [&](auto load) {
    for (int at = 0; at < count; at += kStep<T>) load(at, count - at < kStep<T> ? count - at : kStep<T>);
  };
  if (!in_.weight.data) {
    return for_rows([&](int at, int filled) {
      for (int j = 0; j < kStep<T>; j++) weights_[at + j] = j < filled ? T(1) : T(0);
    });
  }
  with_elements(in_.weight, [&](const auto* array) {
    const auto* from = array + run_.n * in_.voxels + s;
    for_rows([&](int at, int filled) { load_row<T>(from + at, filled, weights_ + at); });
  });
}

template <class T>
void Blocks<T>::load_class_weights(const Block& block) {
  if (!in_.padded) layout_.load(in_.class_weight, run_.n, block.s, block.voxels, class_weights_);
  for (int64_t c = 0; c < in_.classes && in_.has_ignore; c++) {
    T* row = weights_of_classes(block) + c * class_weight_stride();
    for (int j = 0; j < block.voxels; j++) row[j] = weights_[j] == 0 ? T(0) : row[j];
  }
}

template <class T>
void Blocks<T>::ignore_dense(const View<T>& t, int count) {
  const T ignored = static_cast<T>(in_.ignore_index);
  for (int j = 0; j < count; j++) {
    if (t.data[j] == ignored) weights_[j] = 0;
  }
}

template class Blocks<float>;
template class Blocks<double>;

}  // namespace warpdice::cpu::WARPDICE_TARGET
