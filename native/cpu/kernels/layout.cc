// The conversions of layout.h, compiled once for all that use them.
//
// With channels last, a step is [voxel][C] in memory; the passes need [C][voxel]. For constant numbers of
// classes and voxels the compiler turns plain loops into shuffles; else 4 x 4 tiles are transposed.
#include "cpu/kernels/layout.h"

#include "cpu/kernels/dispatch.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

template <class T>
using Four __attribute__((vector_size(4 * sizeof(T)))) = T;

/// Four elements of a (0 to 3) and b (4 to 7). Clang has only the one builtin, GCC before 12 only the other.
template <class T, int i, int j, int k, int l>
WARPDICE_INLINE Four<T> pick(Four<T> a, Four<T> b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, i, j, k, l);
#else
  return __builtin_shuffle(a, b, Four<typename Simd<T>::Int>{i, j, k, l});
#endif
}

/// to[c][r] = from[r][c] for `rows` by `columns`; the strides are elements from row to row.
template <class T>
void transpose(int64_t rows, int64_t columns, const T* __restrict from, int64_t from_stride, T* __restrict to,
               int64_t to_stride) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    int64_t c = 0;
    for (; c + 4 <= columns; c += 4) {
      const T* f = from + r * from_stride + c;
      T* t = to + c * to_stride + r;
      const auto row = [&](int i) { return load<Four<T>>(f + i * from_stride); };
      const Four<T> a = row(0), b = row(1), d = row(2), e = row(3);
      const Four<T> ab = pick<T, 0, 4, 1, 5>(a, b), AB = pick<T, 2, 6, 3, 7>(a, b);
      const Four<T> de = pick<T, 0, 4, 1, 5>(d, e), DE = pick<T, 2, 6, 3, 7>(d, e);
      store(t, pick<T, 0, 1, 4, 5>(ab, de));
      store(t + to_stride, pick<T, 2, 3, 6, 7>(ab, de));
      store(t + 2 * to_stride, pick<T, 0, 1, 4, 5>(AB, DE));
      store(t + 3 * to_stride, pick<T, 2, 3, 6, 7>(AB, DE));
    }
    for (; c < columns; c++) {
      for (int i = 0; i < 4; i++) to[c * to_stride + r + i] = from[(r + i) * from_stride + c];
    }
  }
  for (; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

/// from: [count][C]; staged: [C][kStep<T>], class c at c * stride, whose rest is set to 0. kClasses: C, or 0 for any.
template <class T, int kClasses>
void deinterleave(int64_t classes, int count, const T* __restrict from, T* __restrict staged, int64_t stride) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) staged[c * stride + j] = from[j * kClasses + c];
    }
    return;
  }
  for (int64_t c = 0; c < classes && count < kStep<T>; c++) memset(staged + c * stride, 0, kStep<T> * sizeof(T));
  transpose(count, classes, from, classes, staged, stride);
}

/// The reverse.
template <class T, int kClasses>
void interleave(int64_t classes, int count, const T* __restrict staged, int64_t stride, T* __restrict to) {
  if (kClasses && count == kStep<T>) {
    for (int j = 0; j < kStep<T>; j++) {
      for (int c = 0; c < kClasses; c++) to[j * kClasses + c] = staged[c * stride + j];
    }
    return;
  }
  transpose(classes, count, staged, stride, to, classes);
}

/// The conversions of a LayoutConverter for arrays of one type.
template <class T, class Storage>
class Conversion : LayoutConverter<T> {
  using Layout = LayoutConverter<T>;
  using Layout::channels_last;
  using Layout::classes;
  using Layout::scratch;
  using Layout::stride;
  using Layout::voxels;

 public:
  explicit Conversion(const Layout& layout) : Layout(layout) {}

  /// from, to: of the first voxel and class of the block.
  void load(const Storage* from, int count, T* staged) const {
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) {
        for_steps(count, [&](int at, int filled) {
          const Storage* row = from + c * voxels + at;
          prefetch(row + count, filled);
          load_row<T>(row, filled, staged + c * stride + at);
        });
      }
      return;
    }
    for_steps(count, [&](int at, int filled) {
      prefetch(from + (at + count) * classes, filled * classes);
      load_step(from + at * classes, filled, staged + at);
    });
  }

  void store(Storage* to, int count, const T* staged, StoreMode mode) const {
    if (!channels_last) {
      for (int64_t c = 0; c < classes; c++) {
        if (std::is_same_v<T, Storage> && mode == StoreMode::stream) {
          stream_bytes(to + c * voxels, staged + c * stride, count * sizeof(T));
          continue;
        }
        for_steps(count,
                  [&](int at, int filled) { store_row(to + c * voxels + at, filled, staged + c * stride + at, mode); });
      }
      return;
    }
    for_steps(count, [&](int at, int filled) { store_step(to + at * classes, filled, staged + at, mode); });
  }

 private:
  /// Visits a block step by step; only the last may be partial.
  template <class Visit>
  static WARPDICE_INLINE void for_steps(int count, Visit visit) {
    for (int at = 0; at < count; at += kStep<T>) visit(at, count - at < kStep<T> ? count - at : kStep<T>);
  }

  /// Prefetches the next block's elements while this block is converted.
  static WARPDICE_INLINE void prefetch(const Storage* from, int64_t count) {
    constexpr int64_t kLine = 64 / sizeof(Storage);
    for (int64_t at = 0; at < count; at += kLine) __builtin_prefetch(from + at);
  }

  /// One step of interleaved classes.
  void load_step(const Storage* from, int count, T* staged) const {
    const T* converted = scratch;
    if constexpr (std::is_same_v<T, Storage>) converted = from;
    else for_rows(count, [&](int64_t at, int filled) { load_row<T>(from + at, filled, scratch + at); });
    with_few_classes(classes, [&](auto constant) {
      deinterleave<T, decltype(constant)::value>(classes, count, converted, staged, stride);
    });
  }

  void store_step(Storage* to, int count, const T* staged, StoreMode mode) const {
    T* converted = scratch;
    if constexpr (std::is_same_v<T, Storage>) converted = mode == StoreMode::replace ? to : scratch;
    with_few_classes(classes, [&](auto constant) {
      interleave<T, decltype(constant)::value>(classes, count, staged, stride, converted);
    });
    if (converted != scratch) return;
    if constexpr (std::is_same_v<T, Storage> || (kHalf<Storage> && sizeof(T) == 4)) {
      if (mode == StoreMode::stream) return stream_step(to, count);
    }
    for_rows(count, [&](int64_t at, int filled) { store_row(to + at, filled, scratch + at, mode); });
  }

  /// Writes the interleaved scratch around the caches; `to` may begin anywhere in a cache line.
  void stream_step(Storage* to, int count) const {
    if constexpr (std::is_same_v<T, Storage>) return stream_bytes(to, scratch, count * classes * sizeof(T));
    for_rows(count, [&](int64_t at, int filled) {
      Storage row[kStep<T>];
      narrow(scratch + at, row);
      stream_bytes(to + at, row, filled * sizeof(Storage));
    });
  }

  /// Visits the elements of a step of `count` voxels by rows.
  template <class Visit>
  WARPDICE_INLINE void for_rows(int count, Visit visit) const {
    const int64_t total = count * classes;
    for (int64_t at = 0; at < total; at += kStep<T>) {
      visit(at, total - at < kStep<T> ? static_cast<int>(total - at) : kStep<T>);
    }
  }
};

}  // namespace

template <class T>
void LayoutConverter<T>::load(const Operand& array, int64_t n, int64_t s, int count, T* staged) const {
  with_elements(array, [&](auto* from) {
    using Storage = std::remove_const_t<std::remove_pointer_t<decltype(from)>>;
    Conversion<T, Storage>(*this).load(from + offset(n, s), count, staged);
  });
}

template <class T>
void LayoutConverter<T>::store(const GradientOut& out, int64_t n, int64_t s, int count, const T* staged,
                               StoreMode mode) const {
  with_gradient(out, [&](auto* to) {
    using Storage = std::remove_pointer_t<decltype(to)>;
    Conversion<T, Storage>(*this).store(to + offset(n, s), count, staged, mode);
  });
}

template struct LayoutConverter<float>;
template struct LayoutConverter<double>;

}  // namespace warpdice::cpu::WARPDICE_TARGET
