#pragma once
// Several labels to ignore. The kernels know one, Inputs::ignore_index: where a target may hold more of them, each
// engine gives its kernels a copy of the target in which all are that one.
#include "math/types.h"

namespace warpdice {

/// Those of the labels to ignore that a target of this type can hold, each once. T: the type in which the kernels
/// compare, which is that of integer labels; floats of a dense target are compared as what an index becomes.
template <class T>
struct IgnoredValues {
  T values[kMaxIgnored] = {};
  int count = 0;

  explicit IgnoredValues(const Inputs& in) {
    if (!in.has_ignore) return;
    add(in.ignore_index);
    for (int i = 0; i < in.more_ignored_count; i++) add(in.more_ignored[i]);
  }

 private:
  void add(int64_t index) {
    const T value = static_cast<T>(index);
    if (static_cast<T>(0.5) == 0 && static_cast<int64_t>(value) != index) return;
    for (int i = 0; i < count; i++) {
      if (values[i] == value) return;
    }
    values[count++] = value;
  }
};

}  // namespace warpdice
