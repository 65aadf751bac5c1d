#include "cpu/direct/group.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "cpu/memory/read_values.h"
#include "cpu/pool.h"
#include "math/label.h"

namespace warpdice::cpu::direct {
namespace {

/// Writes or adds `count` numbers, stride apart.
template <class T>
void store(const GradientOut& out, int64_t first, int64_t stride, int64_t count, const double* from) {
  T* to = static_cast<T*>(out.data) + first;
  for (int64_t i = 0; i < count; i++) {
    const double before = out.accumulate ? static_cast<double>(to[i * stride]) : 0;
    to[i * stride] = static_cast<T>(before + from[i]);
  }
}

}  // namespace

Group::Group(const Call& call, int64_t first_sample, int64_t samples)
    : call_(call),
      first_(first_sample),
      samples_(samples),
      blocks_per_sample_((call.in.voxels + kBlockVoxels - 1) / kBlockVoxels),
      predictions_(uninitialized<double>(call.in.classes * voxels())) {}

Block Group::block(int64_t i) const {
  const int64_t n = i / blocks_per_sample_, begin = i % blocks_per_sample_ * kBlockVoxels;
  return {first_ + n, begin, std::min(kBlockVoxels, call_.in.voxels - begin), n * call_.in.voxels + begin};
}

int64_t Group::index(const Block& block, int64_t c) const {
  const int64_t C = call_.in.classes, S = call_.in.voxels;
  if (call_.in.channels_last) return (block.sample * S + block.begin) * C + c;
  return (block.sample * C + c) * S + block.begin;
}

LabelFault Group::read(bool probabilities) {
  LabelFault faults;
  std::mutex mutex;
  Pool::instance().parallel_for(blocks(), 1, [&](int64_t i) {
    const Block b = block(i);
    LabelFault own;
    for (int64_t c = 0; c < call_.in.classes; c++) {
      double* to = predictions_.get() + c * voxels() + b.at;
      read_values(call_.in.predictions, index(b, c), stride(), b.count, to);
      for (int64_t k = 0; probabilities && k < b.count; k++) {
        if (outside_unit(to[k])) own.add({1, index(b, c) + k * stride(), to[k], FaultKind::prediction});
      }
    }
    activate(b);
    if (own.count == 0) return;
    std::lock_guard<std::mutex> lock(mutex);
    faults.add(own);
  });
  return faults;
}

void Group::activate(const Block& block) {
  const int64_t C = call_.in.classes;
  const auto at = [&](int64_t c) { return predictions_.get() + c * voxels() + block.at; };
  if (call_.in.activation == Activation::sigmoid) {
    for (int64_t c = 0; c < C; c++) {
      for (int64_t k = 0; k < block.count; k++) at(c)[k] = 1 / (1 + std::exp(-at(c)[k]));
    }
  }
  if (call_.in.activation != Activation::softmax) return;
  double largest[kBlockVoxels], sum[kBlockVoxels] = {};
  std::copy(at(0), at(0) + block.count, largest);
  for (int64_t c = 1; c < C; c++) {
    for (int64_t k = 0; k < block.count; k++) largest[k] = std::max(largest[k], at(c)[k]);
  }
  for (int64_t c = 0; c < C; c++) {
    for (int64_t k = 0; k < block.count; k++) sum[k] += at(c)[k] = std::exp(at(c)[k] - largest[k]);
  }
  for (int64_t c = 0; c < C; c++) {
    for (int64_t k = 0; k < block.count; k++) at(c)[k] /= sum[k];
  }
}

void Group::read_logits(const Block& block, int64_t c, double* to) const {
  read_values(call_.in.predictions, index(block, c), stride(), block.count, to);
}

void Group::write(const Block& block, int64_t c, const double* slopes) const {
  const auto put = call_.grad.dtype == DType::float64 ? store<double> : store<float>;
  put(call_.grad, index(block, c), stride(), block.count, slopes);
}

void Group::read_target(const Block& block, int64_t c, int8_t* to) const {
  const Inputs& in = call_.in;
  double values[kBlockVoxels];
  if (in.labels) {
    read_values(in.target, block.sample * in.voxels + block.begin, 1, block.count, values);
    const auto wanted = static_cast<double>(c + label_base(in)), ignored = static_cast<double>(in.ignore_index);
    for (int64_t k = 0; k < block.count; k++) {
      to[k] = in.has_ignore && values[k] == ignored ? int8_t{-1} : static_cast<int8_t>(values[k] == wanted);
    }
  } else {
    read_values(in.target, index(block, c), stride(), block.count, values);
    for (int64_t k = 0; k < block.count; k++) to[k] = static_cast<int8_t>(values[k] != 0);
  }
}

void Group::read_classes(const Block& block, int32_t* to) const {
  const Inputs& in = call_.in;
  double values[kBlockVoxels];
  read_values(in.target, block.sample * in.voxels + block.begin, 1, block.count, values);
  const auto base = static_cast<double>(label_base(in)), ignored = static_cast<double>(in.ignore_index);
  for (int64_t k = 0; k < block.count; k++) {
    to[k] = in.has_ignore && values[k] == ignored ? -1 : static_cast<int32_t>(values[k] - base);
  }
}

ClassMask Group::mask(int64_t c) const {
  ClassMask mask = {uninitialized<int8_t>(voxels())};
  int8_t* to = mask.voxels.get();
  Pool::instance().parallel_for(blocks(), 8, [&](int64_t i) {
    const Block b = block(i);
    read_target(b, c, to + b.at);
  });
  mask.inside = std::count(to, to + voxels(), int8_t{1});
  mask.counted = voxels() - std::count(to, to + voxels(), int8_t{-1});
  return mask;
}

void Group::clear_slopes() {
  const int64_t count = call_.in.classes * voxels();
  slopes_ = uninitialized<double>(count);
  std::fill(slopes_.get(), slopes_.get() + count, 0.0);
}

void Group::write_gradient(const double* factors) const {
  const int64_t C = call_.in.classes;
  Pool::instance().parallel_for(blocks(), 1, [&](int64_t i) {
    const Block b = block(i);
    const auto p = [&](int64_t c) { return predictions_.get() + c * voxels() + b.at; };
    const auto slope = [&](int64_t c) { return slopes_.get() + c * voxels() + b.at; };
    double shared[kBlockVoxels] = {}, dz[kBlockVoxels];  // shared: sum_j p_j * dL/dp_j
    if (call_.in.activation == Activation::softmax) {
      for (int64_t c = 0; c < C; c++) {
        for (int64_t k = 0; k < b.count; k++) shared[k] += p(c)[k] * slope(c)[k] * factors[c];
      }
    }
    for (int64_t c = 0; c < C; c++) {
      for (int64_t k = 0; k < b.count; k++) {
        const double dp = slope(c)[k] * factors[c], own = p(c)[k];
        if (call_.in.activation == Activation::softmax) dz[k] = own * (dp - shared[k]);
        else dz[k] = call_.in.activation == Activation::sigmoid ? dp * own * (1 - own) : dp;
      }
      write(b, c, dz);
    }
  });
}

}  // namespace warpdice::cpu::direct
