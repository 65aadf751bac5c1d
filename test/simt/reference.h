#pragma once
// The obvious version, in double: plain loops over arrays [N][C][S], and no code of native/.
#include <cmath>
#include <cstdint>
#include <vector>

namespace reference {

using Array = std::vector<double>;

struct Problem {
  int64_t N = 1, C = 1, S = 1;
  int activation = 0;  // 0 none, 1 sigmoid, 2 softmax
  bool squared = true, minimum = false, jaccard = false, pooled = false, background = true;
  int reduction = 1;  // 0 none, 1 mean, 2 sum
  double smooth_numerator = 0, smooth_denominator = 1e-7, scale = 1;
  Array class_weights;  // [C]
  Array upstream;       // [groups][C], for reduction none
  Array z, t, w;        // [N][C][S], [N][C][S], [N][S]

  int64_t groups() const { return pooled ? 1 : N; }
  size_t at(int64_t n, int64_t c, int64_t s) const { return static_cast<size_t>((n * C + c) * S + s); }
};

struct Result {
  Array I, P, T, V, W;  // [groups][C]
  Array per_class, value, gradient;
};

inline Array probabilities(const Problem& x) {
  Array p(x.z.size());
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      double largest = -INFINITY, sum = 0;
      for (int64_t c = 0; c < x.C; c++) largest = std::fmax(largest, x.z[x.at(n, c, s)]);
      for (int64_t c = 0; c < x.C; c++) sum += std::exp(x.z[x.at(n, c, s)] - largest);
      for (int64_t c = 0; c < x.C; c++) {
        const double z = x.z[x.at(n, c, s)];
        p[x.at(n, c, s)] = x.activation == 0   ? z
                           : x.activation == 1 ? 1 / (1 + std::exp(-z))
                                               : std::exp(z - largest) / sum;
      }
    }
  }
  return p;
}

inline Result solve(const Problem& x) {
  const Array p = probabilities(x);
  const size_t rows = static_cast<size_t>(x.groups() * x.C);
  Result r{Array(rows), Array(rows), Array(rows), Array(rows), Array(rows), Array(rows), Array(rows), Array(p.size())};
  const auto row = [&](int64_t n, int64_t c) { return static_cast<size_t>((x.pooled ? 0 : n) * x.C + c); };
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t c = 0; c < x.C; c++) {
      for (int64_t s = 0; s < x.S; s++) {
        const double w = x.w[static_cast<size_t>(n * x.S + s)], a = p[x.at(n, c, s)], b = x.t[x.at(n, c, s)];
        if (w == 0) continue;
        r.I[row(n, c)] += w * (x.minimum ? (a < b ? a : b) : a * b);
        r.P[row(n, c)] += w * (x.squared ? a * a : a);
        r.T[row(n, c)] += w * (x.squared ? b * b : b);
        r.V[row(n, c)] += w * b;
        r.W[row(n, c)] += w;
      }
    }
  }

  // L = 1 - A/B, Dice: A = 2I + s_n, B = P + T + s_d; Jaccard: A = I + s_n, B = P + T - I + s_d.
  Array dI(rows), dP(rows);
  double total = 0;
  for (size_t i = 0; i < rows; i++) {
    const bool counts = x.background || i % static_cast<size_t>(x.C) != 0;
    const double number = static_cast<double>(x.groups() * (x.background ? x.C : x.C - 1));
    const double share = counts ? x.class_weights[i % static_cast<size_t>(x.C)] / (x.reduction == 1 ? number : 1) : 0;
    const double A = (x.jaccard ? 1 : 2) * r.I[i] + x.smooth_numerator;
    const double B = r.P[i] + r.T[i] - (x.jaccard ? r.I[i] : 0) + x.smooth_denominator;
    r.per_class[i] = 1 - A / B;
    r.value[i] = counts ? share * r.per_class[i] : 0;
    total += r.value[i];
    const double factor = counts ? share * x.scale * (x.reduction == 0 ? x.upstream[i] : 1) : 0;
    dI[i] = factor * (x.jaccard ? -(A + B) / (B * B) : -2 / B);
    dP[i] = factor * A / (B * B);
  }
  if (x.reduction != 0) r.value = {total};

  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      const double w = x.w[static_cast<size_t>(n * x.S + s)];
      if (w == 0) continue;
      Array dp(static_cast<size_t>(x.C));
      double mean = 0;
      for (int64_t c = 0; c < x.C; c++) {
        const double a = p[x.at(n, c, s)], b = x.t[x.at(n, c, s)];
        const double overlap = x.minimum ? (a < b ? 1 : a == b ? 0.5 : 0) : b;
        dp[static_cast<size_t>(c)] = w * (dI[row(n, c)] * overlap + dP[row(n, c)] * (x.squared ? 2 * a : 1));
        mean += a * dp[static_cast<size_t>(c)];
      }
      for (int64_t c = 0; c < x.C; c++) {
        const double a = p[x.at(n, c, s)], d = dp[static_cast<size_t>(c)];
        r.gradient[x.at(n, c, s)] = x.activation == 0 ? d : x.activation == 1 ? d * a * (1 - a) : a * (d - mean);
      }
    }
  }
  return r;
}

}  // namespace reference
