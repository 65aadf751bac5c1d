#pragma once
// The first message of every call: an all-reduce of a length that never changes. MPI does not check that the ranks pass
// the same length: with another one, MPICH and Intel MPI give wrong sums or foreign memory, and report nothing. So each
// rank first adds a number made of what it is about to do, h, and its square. By the inequality of Cauchy and Schwarz
//
//     ranks * sum h^2 = (sum h)^2   only where h is the same on all ranks
//
// All ranks see the same sums, so they all find the difference, and the communicator can still be used.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace warpdice::mpi {

class Frame {
 public:
  static constexpr int kSize = 64;
  /// Sums that travel in the frame itself, where there are no more.
  static constexpr size_t kRoom = 56;

  /// name: what this rank is about to do, with all that must be the same on every rank.
  Frame(const std::string& name, double extra) {
    uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
    numbers_[0] = 1;
    for (int i = 0; i < kPieces; ++i) {
      // 19 bits: the squares of 32768 ranks add up exactly in a double.
      const auto piece = static_cast<double>(hash >> (19 * i) & 0x7ffff);
      numbers_[1 + 2 * i] = piece;
      numbers_[2 + 2 * i] = piece * piece;
    }
    numbers_[kExtra] = extra;
  }

  double* numbers() { return numbers_; }
  /// The sum of what the ranks have given as `extra`.
  double extra() const { return numbers_[kExtra]; }
  double* room() { return numbers_ + kExtra + 1; }

  /// Whether the sums are of `ranks` ranks that do the same.
  bool agrees(int ranks) const {
    if (numbers_[0] != ranks) return false;
    for (int i = 0; i < kPieces; ++i) {
      const double sum = numbers_[1 + 2 * i], squares = numbers_[2 + 2 * i];
      if (!(sum >= 0 && sum < 0x1p53 && squares >= 0 && squares < 0x1p53)) return false;
      if (Wide{static_cast<uint64_t>(ranks)} * static_cast<uint64_t>(squares) !=
          Wide{static_cast<uint64_t>(sum)} * static_cast<uint64_t>(sum)) {
        return false;
      }
    }
    return true;
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr int kPieces = 3, kExtra = 1 + 2 * kPieces;
  double numbers_[kSize] = {};
};

}  // namespace warpdice::mpi
