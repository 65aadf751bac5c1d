#pragma once
// Loads and stores neighbouring elements of an array, by accesses of up to 16 bytes where the address is a multiple of
// that, else one by one.
#include <cstring>
#include <type_traits>

#include "cuda/kernels/device_api.h"

namespace warpdice::cuda {

/// The 1, 2, 4, 8 or 16 bytes that one instruction moves.
template <int kBytes>
struct alignas(kBytes) Piece {
  using Word = std::conditional_t<kBytes == 1, uint8_t, std::conditional_t<kBytes == 2, uint16_t, uint32_t>>;
  Word words[kBytes / sizeof(Word)];
};

template <class T, int kCount>
constexpr int kPieceBytes = kCount * sizeof(T) < 16 ? kCount * sizeof(T) : 16;

template <int kBytes>
__device__ bool is_aligned(const void* at) {
  return reinterpret_cast<uintptr_t>(at) % kBytes == 0;
}

/// Loads kCount elements from an address that is a multiple of 16 bytes, or of all that they take.
template <int kCount, class T>
__device__ void load_whole(const T* from, T (&to)[kCount]) {
  constexpr int kBytes = kPieceBytes<T, kCount>, kElements = kBytes / sizeof(T);
#pragma unroll
  for (int i = 0; i < kCount; i += kElements) {
    const auto piece = *reinterpret_cast<const Piece<kBytes>*>(from + i);
    memcpy(to + i, &piece, kBytes);
  }
}

/// Stores them.
template <int kCount, class T>
__device__ void store_whole(T* to, const T (&from)[kCount]) {
  constexpr int kBytes = kPieceBytes<T, kCount>, kElements = kBytes / sizeof(T);
#pragma unroll
  for (int i = 0; i < kCount; i += kElements) {
    Piece<kBytes> piece;
    memcpy(&piece, from + i, kBytes);
    *reinterpret_cast<Piece<kBytes>*>(to + i) = piece;
  }
}

/// Stores them where the call does not read them again, so that caches rather keep what it has yet to read.
template <int kCount, class T>
__device__ void stream_whole(T* to, const T (&from)[kCount]) {
  constexpr int kBytes = kPieceBytes<T, kCount>, kElements = kBytes / sizeof(T);
#pragma unroll
  for (int i = 0; i < kCount; i += kElements) {
    Piece<kBytes> piece;
    memcpy(&piece, from + i, kBytes);
    if constexpr (kBytes == 16) stream(to + i, piece.words);
    else *reinterpret_cast<Piece<kBytes>*>(to + i) = piece;
  }
}

/// Loads `count` elements, at most kCount. The others become 0. count may be negative.
template <class T, int kCount>
__device__ void load(const T* from, int64_t count, T (&to)[kCount]) {
  constexpr int kBytes = kPieceBytes<T, kCount>, kElements = kBytes / sizeof(T);
  if (count >= kCount && is_aligned<kBytes>(from)) {
    for (int i = 0; i < kCount; i += kElements) {
      const Piece<kBytes> piece = *reinterpret_cast<const Piece<kBytes>*>(from + i);
      memcpy(to + i, &piece, kBytes);
    }
  } else {
    for (int i = 0; i < kCount; i++) {
      if (i < count) to[i] = from[i];
      else memset(to + i, 0, sizeof(T));
    }
  }
}

/// Stores the first `count` elements. count may be negative.
template <class T, int kCount>
__device__ void store(T* to, int64_t count, const T (&from)[kCount]) {
  constexpr int kBytes = kPieceBytes<T, kCount>, kElements = kBytes / sizeof(T);
  if (count >= kCount && is_aligned<kBytes>(to)) {
    for (int i = 0; i < kCount; i += kElements) {
      Piece<kBytes> piece;
      memcpy(&piece, from + i, kBytes);
      *reinterpret_cast<Piece<kBytes>*>(to + i) = piece;
    }
  } else {
    for (int i = 0; i < kCount; i++) {
      if (i < count) to[i] = from[i];
    }
  }
}

}  // namespace warpdice::cuda
