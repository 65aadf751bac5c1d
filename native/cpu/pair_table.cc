#include "cpu/pair_table.h"

#include <algorithm>

namespace warpdice::cpu {

void PairTable::reserve(size_t more) {
  const size_t least = 2 * (used_ + more);
  if (least <= entries_.size()) return;
  size_t size = std::max<size_t>(entries_.size(), 64);
  while (size < least) size *= 2;
  std::vector<Entry> old(size, Entry{0, 0});
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.count != 0) find(entry.pair) = entry;
  }
}

void PairTable::add(int64_t pair, int64_t count) {
  reserve(1);
  Entry& entry = find(pair);
  if (entry.count == 0) used_++;
  entry.pair = pair;
  entry.count += count;
}

void PairTable::clear() {
  entries_ = {};
  used_ = 0;
}

PairTable::Entry& PairTable::find(int64_t pair) {
  const size_t mask = entries_.size() - 1;
  // The multiplication spreads neighbouring pairs; its high bits depend on all of the pair's.
  const uint64_t hash = static_cast<uint64_t>(pair) * 0x9E3779B97F4A7C15u;
  size_t i = static_cast<size_t>(hash >> 32) & mask;
  while (entries_[i].count != 0 && entries_[i].pair != pair) i = (i + 1) & mask;
  return entries_[i];
}

}  // namespace warpdice::cpu
