#pragma once
// Probabilities, their complements and the logarithms of both, without cancellation.
#include "cpu/kernels/pointwise.h"
#include "cpu/kernels/softmax.h"

namespace warpdice::cpu::WARPDICE_TARGET {

/// The results for each class of a step, [C][kUnroll] each. Their memory must differ from that of the logits.
template <class T>
struct Odds {
  Vec<T>*p, *complement;  // p, 1-p
  Vec<T>* neg_log_p;      // -log p, where a logarithm is wanted
  Vec<T>* neg_log_not_p;  // -log(1-p), with sigmoid
};

/// Factors of one class: of the term of t in E and U, and of those of t and 1-t in F.
template <class T>
struct TermFactors {
  T entropy, focal, focal_rest;
};

template <class T>
WARPDICE_INLINE TermFactors<T> term_factors(const Inputs& in, int64_t c) {
  const double alpha = in.focal_alpha.at(c), rest = in.focal_alpha.factors ? 1 - alpha : 1;
  return {static_cast<T>(in.positive_weight.at(c)), static_cast<T>(alpha), static_cast<T>(rest)};
}

/// factor*x; 0 for a factor of 0, even where x is infinite.
template <class T>
WARPDICE_INLINE Vec<T> scaled(T factor, Vec<T> x) {
  return factor == 0 ? Vec<T>{} : factor * x;
}

/// 0 * finite(x) is 0.
template <class T>
WARPDICE_INLINE Vec<T> finite(Vec<T> x) {
  constexpr T kLarge = static_cast<T>(1e30);
  return x > kLarge ? splat<T>(kLarge) : x;
}

/// x^g for x from 0 to 1. Whole powers are products; neg_log() is -log x for the others. whole: g if it is from 1 to 4.
template <class T, class NegLog>
WARPDICE_INLINE Vec<T> power(Vec<T> x, T g, int whole, NegLog neg_log) {
  if (whole == 0) return exp_nonpositive(finite<T>(neg_log()) * -g);
  Vec<T> product = x;
  for (int i = 1; i < whole; i++) product *= x;
  return product;
}

/// Where p > 1/2 the class is the largest one. 1-p and log p are then computed from the sum of the other classes;
/// computed from p they would lose digits.
template <class T>
void find_softmax(int64_t classes, const View<T>& z, bool logs, const Odds<T>& to) {
  const T min = static_cast<T>(sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022);  // logarithms are of normal numbers
  const Softmax<T> shared = softmax(classes, z, to.p);
  Vec<T> inverse[kUnroll], others[kUnroll] = {}, log_sum[kUnroll], log_others[kUnroll];
  const Vec<T> zero = {};
  for (int64_t c = 0; c < classes; c++) {
    for (int u = 0; u < kUnroll; u++) {
      const Vec<T> e = to.p[c * kUnroll + u];
      others[u] += e == static_cast<T>(1) ? zero : e;
    }
  }
  for (int u = 0; u < kUnroll; u++) {
    inverse[u] = static_cast<T>(1) / shared.sum[u];
    log_sum[u] = log_positive(shared.sum[u]);
    log_others[u] = log_one_plus<T>(others[u]);
  }
  for (int64_t c = 0; c < classes; c++) {
    for (int u = 0; u < kUnroll; u++) {
      const int64_t i = c * kUnroll + u;
      const Vec<T> p = to.p[i] * inverse[u];
      const auto likely = p > static_cast<T>(0.5);
      const Vec<T> complement = likely ? others[u] * inverse[u] : static_cast<T>(1) - p;
      to.p[i] = p;
      to.complement[i] = complement < min ? splat<T>(min) : complement;
      if (logs) to.neg_log_p[i] = likely ? log_others[u] : (shared.largest[u] - z.get(c, u)) + log_sum[u];
    }
  }
}

template <class T>
void find_sigmoid(int64_t classes, const View<T>& z, bool logs, const Odds<T>& to) {
  const Vec<T> zero = {};
  for (int64_t c = 0; c < classes; c++) {
    Vec<T> e[kUnroll];
    exp_side(z, c, e);
    for (int u = 0; u < kUnroll; u++) {
      const int64_t i = c * kUnroll + u;
      const Vec<T> x = z.get(c, u);
      const Sigmoid<T> s(smaller_side<T>(e[u]), x);
      to.p[i] = s.p;
      to.complement[i] = s.complement;
      if (!logs) continue;
      const Vec<T> both = log_one_plus<T>(e[u]);
      to.neg_log_p[i] = both + (x < zero ? -x : zero);
      to.neg_log_not_p[i] = both + (x > zero ? x : zero);
    }
  }
}

}  // namespace warpdice::cpu::WARPDICE_TARGET
