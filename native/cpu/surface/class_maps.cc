#include "cpu/surface/class_maps.h"

#include <algorithm>
#include <cstring>

#include "cpu/memory/read_values.h"
#include "cpu/pool.h"
#include "math/label.h"

namespace warpdice::cpu {
namespace {

constexpr int64_t kBlock = 2048;  // voxels

/// Reads the classes of a run of voxels of a sample: [begin, begin + count).
class Reader {
 public:
  Reader(const CountInputs& inputs, int64_t sample, int64_t begin, int64_t count)
      : inputs_(inputs), in_(inputs.in), sample_(sample), begin_(begin), count_(count) {}

  void predicted(int64_t only, int32_t* to) {
    const Operand& from = in_.predictions;
    if (inputs_.decision == Decision::labels) return labels(from, false, -1, to);
    if (only < 0) return largest(from, inputs_.predicts_masks(), to);
    const double threshold = from.dtype == DType::float64 ? inputs_.threshold : static_cast<float>(inputs_.threshold);
    above(from, threshold, only, to);
  }

  void target(int64_t only, int32_t* to) {
    if (in_.labels) return labels(in_.target, true, only, to);
    if (only < 0) return largest(in_.target, true, to);
    above(in_.target, 0.5, only, to);
  }

  /// Label maps, and dense masks of one class, hold what is ignored.
  void ignore(int32_t* predicted, int32_t* target) {
    if (!in_.has_ignore || !(in_.labels || in_.classes == 1)) return;
    read_values(in_.target, sample_ * in_.voxels + begin_, 1, count_, values_);
    for (int64_t i = 0; i < count_; i++) {
      if (values_[i] == static_cast<double>(in_.ignore_index)) predicted[i] = target[i] = -1;
    }
  }

 private:
  void read_class(const Operand& from, int64_t c) {
    const int64_t C = in_.classes, S = in_.voxels;
    if (in_.channels_last) read_values(from, (sample_ * S + begin_) * C + c, C, count_, values_);
    else read_values(from, (sample_ * C + c) * S + begin_, 1, count_, values_);
  }

  void labels(const Operand& from, bool is_target, int64_t only, int32_t* to) {
    const double base = static_cast<double>(label_base(in_)), end = static_cast<double>(label_end(in_));
    read_values(from, sample_ * in_.voxels + begin_, 1, count_, values_);
    for (int64_t i = 0; i < count_; i++) {
      const bool is_class = values_[i] >= base && values_[i] < end;
      to[i] = is_class ? static_cast<int32_t>(values_[i] - base) : -1;
      if (is_target && only >= 0 && to[i] != only) to[i] = -1;
    }
  }

  void above(const Operand& from, double threshold, int64_t c, int32_t* to) {
    read_class(from, c);
    for (int64_t i = 0; i < count_; i++) to[i] = values_[i] > threshold ? static_cast<int32_t>(c) : -1;
  }

  /// The lowest class with the largest value. None where one is NaN and, if it must be positive, where none is above 0.
  void largest(const Operand& from, bool positive, int32_t* to) {
    double most[kBlock];
    bool unordered[kBlock] = {};
    for (int64_t c = 0; c < in_.classes; c++) {
      read_class(from, c);
      for (int64_t i = 0; i < count_; i++) {
        unordered[i] |= values_[i] != values_[i];
        const bool more = c == 0 || values_[i] > most[i];
        most[i] = more ? values_[i] : most[i];
        to[i] = more ? static_cast<int32_t>(c) : to[i];
      }
    }
    for (int64_t i = 0; i < count_; i++) {
      if (unordered[i] || (positive && !(most[i] > 0))) to[i] = -1;
    }
  }

  const CountInputs& inputs_;
  const Inputs& in_;
  const int64_t sample_, begin_, count_;
  double values_[kBlock];
};

void include(Box& box, int64_t z, int64_t y, int64_t x, int64_t end) {
  const int64_t first[] = {z, y, x}, last[] = {z + 1, y + 1, end};
  for (int axis = 0; axis < 3; axis++) {
    box.first[axis] = std::min(box.first[axis], first[axis]);
    box.last[axis] = std::max(box.last[axis], last[axis]);
  }
}

}  // namespace

ClassMaps::ClassMaps(const CountInputs& inputs, const Grid& image, int64_t sample, int64_t only)
    : image_(image),
      first_class_(only < 0 ? 0 : only),
      boxes_(static_cast<size_t>(only < 0 ? inputs.in.classes : 1)),
      maps_{uninitialized<int32_t>(image.voxels()), uninitialized<int32_t>(image.voxels())} {
  read(inputs, sample, only);
  find_boxes();
}

void ClassMaps::read(const CountInputs& inputs, int64_t sample, int64_t only) {
  const int64_t voxels = image_.voxels();
  Pool::instance().parallel_for((voxels + kBlock - 1) / kBlock, 4, [&](int64_t block) {
    const int64_t begin = block * kBlock, count = std::min(kBlock, voxels - begin);
    int32_t *target = maps_[0].get() + begin, *predicted = maps_[1].get() + begin;
    Reader reader(inputs, sample, begin, count);
    reader.target(only, target);
    reader.predicted(only, predicted);
    reader.ignore(predicted, target);
  });
}

void ClassMaps::find_boxes() {
  const int64_t Z = image_.sizes[0], Y = image_.sizes[1], X = image_.sizes[2];
  for (const auto& map : maps_) {
    const int32_t* row = map.get();
    for (int64_t z = 0; z < Z; z++) {
      for (int64_t y = 0; y < Y; y++, row += X) {
        for (int64_t x = 0, end; x < X; x = end) {  // a run of voxels of one class
          for (end = x + 1; end < X && row[end] == row[x]; end++) continue;
          if (row[x] >= 0) include(boxes_[static_cast<size_t>(row[x] - first_class_)], z, y, x, end);
        }
      }
    }
  }
}

Box ClassMaps::box(const std::vector<int32_t>& classes) const {
  Box all;
  for (const int32_t c : classes) {
    const Box& one = boxes_[static_cast<size_t>(c - first_class_)];
    for (int axis = 0; axis < 3; axis++) {
      all.first[axis] = std::min(all.first[axis], one.first[axis]);
      all.last[axis] = std::max(all.last[axis], one.last[axis]);
    }
  }
  return all;
}

Grid ClassMaps::grid(const Box& box) const {
  Grid grid = image_;
  for (int axis = 0; axis < 3; axis++) grid.sizes[axis] = box.last[axis] - box.first[axis] + 2;
  if (image_.flat) grid.sizes[1] = 1;
  return grid;
}

template <class Inside>
void ClassMaps::write(bool predicted, const Box& box, uint8_t* mask, Inside inside) const {
  const Grid grid = this->grid(box);
  const int32_t* map = maps_[predicted].get();
  Pool::instance().parallel_for(grid.sizes[0], grid.grain(), [&](int64_t z) {
    uint8_t* to = mask + z * grid.plane();
    std::memset(to, 0, static_cast<size_t>(grid.plane()));
    if (z == 0 || z == grid.sizes[0] - 1) return;
    const int64_t margin = grid.flat ? 0 : 1, width = box.last[2] - box.first[2];
    for (int64_t y = margin; y < grid.sizes[1] - margin; y++) {
      const int64_t row = (box.first[0] + z - 1) * image_.sizes[1] + box.first[1] + y - margin;
      const int32_t* from = map + row * image_.sizes[2] + box.first[2];
      for (int64_t x = 0; x < width; x++) to[y * grid.sizes[2] + 1 + x] = inside(from[x]);
    }
  });
}

void ClassMaps::write_mask(bool predicted, const std::vector<int32_t>& classes, const Box& box, uint8_t* mask) const {
  if (classes.size() == 1) {
    return write(predicted, box, mask, [c = classes.front()](int32_t label) { return label == c; });
  }
  std::vector<uint8_t> inside(boxes_.size() + 1);  // [label + 1]: no class has label -1
  for (const int32_t c : classes) inside[static_cast<size_t>(c) + 1] = 1;
  write(predicted, box, mask, [&](int32_t label) { return inside[static_cast<size_t>(int64_t{label} + 1)]; });
}

}  // namespace warpdice::cpu
