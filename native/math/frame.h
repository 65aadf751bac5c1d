#pragma once
// The first message of every call of all ranks: an all-reduce of a length that never changes. Neither MPI nor NCCL
// checks that the ranks pass the same length: with another one, some give wrong sums or foreign memory, and report
// nothing. So each rank first adds a number made of what it is about to do, h, and its square. By the inequality of
// Cauchy and Schwarz
//
//     ranks * sum h^2 = (sum h)^2   only where h is the same on all ranks
//
// All ranks see the same sums, so they all find the difference. Up to 32768 ranks.
#include <cstddef>
#include <cstdint>
#include <string>

#include "math/sums.h"

namespace warpdice {

class Frame {
 public:
  static constexpr int kSize = 64;
  /// Numbers before the sums that travel in the frame.
  static constexpr int kHeader = 8;
  /// Sums that travel in the frame itself.
  static constexpr size_t kRoom = kSize - kHeader;

  /// name: what this rank is about to do, with all that must be the same on every rank.
  Frame(const std::string& name, double extra) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    numbers_[0] = 1;
    for (int i = 0; i < kPieces; ++i) {
      // 16 bits: the squares of 32768 ranks add up exactly, and their product with the ranks has 62 bits.
      const auto piece = static_cast<double>(hash >> (16 * i) & 0xffff);
      numbers_[1 + 2 * i] = piece;
      numbers_[2 + 2 * i] = piece * piece;
    }
    numbers_[kExtra] = extra;
  }

  double* numbers() { return numbers_; }
  const double* numbers() const { return numbers_; }
  /// The sum of what the ranks have given as `extra`.
  double extra() const { return numbers_[kExtra]; }
  double* room() { return numbers_ + kHeader; }

  /// Whether the sums are of `ranks` ranks that do the same.
  bool agrees(int ranks) const { return agree(numbers_, ranks); }

  /// The same for the first numbers of a frame that lies elsewhere, such as on a GPU.
  WARPDICE_HOST_DEVICE static bool agree(const double* numbers, int ranks) {
    if (numbers[0] != ranks) return false;
    for (int i = 0; i < kPieces; ++i) {
      const double sum = numbers[1 + 2 * i], squares = numbers[2 + 2 * i];
      if (!(sum >= 0 && sum < 0x1p31 && squares >= 0 && squares < 0x1p48)) return false;
      const auto whole = static_cast<uint64_t>(sum);
      if (static_cast<uint64_t>(ranks) * static_cast<uint64_t>(squares) != whole * whole) return false;
    }
    return true;
  }

 private:
  static constexpr int kPieces = 3, kExtra = kHeader - 1;
  double numbers_[kSize] = {};
};

}  // namespace warpdice
