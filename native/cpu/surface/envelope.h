#pragma once
#include <cstdint>
#include <limits>

namespace warpdice::cpu {

/// The lowest of the parabolas f(p) + (s*(q-p))^2 at each q, along a line of voxels.
class Envelope {
 public:
  static int64_t numbers(int64_t length) { return 4 * length; }

  /// memory: numbers(length) of them.
  Envelope(double* memory, int64_t length, double spacing)
      : spacing_(spacing), apex_(memory), height_(apex_ + length), begin_(height_ + length), halves_(begin_ + length) {
    for (int64_t k = 1; k < length; k++) halves_[k] = 0.5 / (spacing * spacing * static_cast<double>(k));
  }

  void clear() { count_ = 0; }
  bool empty() const { return count_ == 0; }

  /// The parabolas are added in the order of their p.
  void add(int64_t p, double f) {
    const auto at = static_cast<double>(p);
    double begin = -std::numeric_limits<double>::infinity();
    for (; count_ > 0; count_--) {
      const int64_t last = count_ - 1;
      // Where it meets the last one. The last one is lowest nowhere when that is before it begins.
      const auto apart = static_cast<int64_t>(at - apex_[last]);
      begin = (f - height_[last]) * halves_[apart] + (at + apex_[last]) * 0.5;
      if (begin > begin_[last]) break;
    }
    apex_[count_] = at;
    height_[count_] = f;
    begin_[count_] = count_ == 0 ? -std::numeric_limits<double>::infinity() : begin;
    count_++;
  }

  /// Asked at growing q, beginning with i = 0; i keeps the place.
  double at(int64_t q, int64_t& i) const {
    const auto at = static_cast<double>(q);
    while (i + 1 < count_ && begin_[i + 1] < at) i++;
    return value(q, i);
  }

  /// The p of the lowest one at q, the first of those that are equally low. Asked like at().
  int64_t lowest(int64_t q, int64_t& i) const {
    while (i + 1 < count_ && value(q, i + 1) < value(q, i)) i++;
    return static_cast<int64_t>(apex_[i]);
  }

  double value(int64_t q, int64_t i) const {
    const double apart = (static_cast<double>(q) - apex_[i]) * spacing_;
    return height_[i] + apart * apart;
  }

 private:
  const double spacing_;
  int64_t count_ = 0;
  double *apex_, *height_, *begin_;
  double* halves_;  // [k]: 1 / (2 s^2 k)
};

}  // namespace warpdice::cpu
