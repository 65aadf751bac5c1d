#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warpdice::cpu {

/// How often pairs of classes occurred. It holds only those that did, of the (C+1)^2 that could.
class PairTable {
 public:
  size_t size() const { return used_; }
  size_t bytes() const { return entries_.capacity() * sizeof(Entry); }

  /// Makes room, so that add() of so many more pairs does not throw.
  void reserve(size_t more);
  /// count: at least 1.
  void add(int64_t pair, int64_t count);
  void clear();

  /// Calls visit(pair, count) for each, in no order.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Entry& entry : entries_) {
      if (entry.count != 0) visit(entry.pair, entry.count);
    }
  }

 private:
  struct Entry {
    int64_t pair, count;  // count 0: free
  };

  /// Where the pair is, or the free place for it.
  Entry& find(int64_t pair);

  std::vector<Entry> entries_;  // a power of two of them, at least twice as many as are used
  size_t used_ = 0;
};

}  // namespace warpdice::cpu
