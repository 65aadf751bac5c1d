#include "cpu/one_ignored.h"

#include <algorithm>
#include <cstring>

#include "cpu/memory/read_values.h"
#include "cpu/pool.h"
#include "math/ignored.h"

namespace warpdice::cpu {
namespace {

constexpr int64_t kBlock = 8192;  // labels: a block stays in the first cache while each index is looked for

Workspace& kept_copy() {
  static thread_local Workspace memory;
  return memory;
}

/// T is the dtype of the copy. read(first, count, to) reads some of the target's values.
template <class T, class Read>
void merge(Inputs& in, DType dtype, Read read) {
  const IgnoredValues<T> ignored(in);
  if (ignored.count > 0) in.ignore_index = static_cast<int64_t>(ignored.values[0]);
  if (ignored.count < 2) return;
  const int64_t count = in.samples * in.voxels;
  T* const copy = static_cast<T*>(kept_copy().reserve(static_cast<size_t>(count) * sizeof(T)));
  Pool::instance().parallel_for((count + kBlock - 1) / kBlock, 8, [&](int64_t block) {
    const int64_t first = block * kBlock, length = std::min(kBlock, count - first);
    T* const to = copy + first;
    read(first, length, to);
    for (int k = 1; k < ignored.count; k++) {
      for (int64_t i = 0; i < length; i++) to[i] = to[i] == ignored.values[k] ? ignored.values[0] : to[i];
    }
  });
  in.target = {copy, dtype};
}

template <class T>
void merge_labels(Inputs& in) {
  const T* const from = static_cast<const T*>(in.target.data);
  merge<T>(in, in.target.dtype, [from](int64_t first, int64_t count, T* to) {
    std::memcpy(to, from + first, static_cast<size_t>(count) * sizeof(T));
  });
}

/// T: in which the kernels compute.
template <class T>
void merge_floats(Inputs& in, DType dtype) {
  const Operand from = in.target;
  merge<T>(in, dtype, [from](int64_t first, int64_t count, T* to) {
    double values[256];
    for (int64_t i = 0; i < count; i += 256) {
      const int64_t some = std::min<int64_t>(256, count - i);
      read_values(from, first + i, 1, some, values);
      for (int64_t k = 0; k < some; k++) to[i + k] = static_cast<T>(values[k]);
    }
  });
}

}  // namespace

OneIgnored::OneIgnored(Inputs& in) {
  if (in.more_ignored_count == 0 || !in.target.data) return;  // step 2 alone has no target
  switch (in.target.dtype) {
    case DType::uint8:
      merge_labels<uint8_t>(in);
      break;
    case DType::int16:
      merge_labels<int16_t>(in);
      break;
    case DType::uint16:
      merge_labels<uint16_t>(in);
      break;
    case DType::int32:
      merge_labels<int32_t>(in);
      break;
    case DType::int64:
      merge_labels<int64_t>(in);
      break;
    default:  // a dense target of one class
      if (in.predictions.dtype == DType::float64) merge_floats<double>(in, DType::float64);
      else merge_floats<float>(in, DType::float32);
  }
  in.more_ignored_count = 0;
}

OneIgnored::~OneIgnored() { kept_copy().trim(); }

}  // namespace warpdice::cpu
