#pragma once
// The obvious way to compute the losses, in double, with no code of native/: plain loops over arrays [N][C][S], the
// loss written out as a function of the sums, and its derivatives with respect to the sums as differences.
#include <cmath>
#include <cstdint>
#include <vector>

namespace reference {

using Real = long double;  // differences need more digits than double has
using Array = std::vector<double>;

enum class Activation { none, sigmoid, softmax };
enum class Overlap { product, minimum, wasserstein };
enum class Kind { dice, jaccard, tversky, generalized, wasserstein, matthews, micro_matthews, multiclass_matthews };
enum class Reduction { none, mean, sum };
enum class Unified { none, symmetric, asymmetric };

struct Problem {
  int64_t N = 1, C = 1, S = 1;
  Activation activation = Activation::none;
  Overlap overlap = Overlap::product;
  Kind kind = Kind::dice;
  Reduction reduction = Reduction::mean;
  Unified unified = Unified::none;
  double delta = 0.5;
  bool squared = true, pooled = false, background = true;
  double smooth_numerator = 0, smooth_denominator = 1e-7;
  double alpha = 0.5, beta = 0.5;
  double power = 1;  // L = (1 - r)^power
  double cross_entropy_factor = 0, label_smoothing = 0, focal_factor = 0, focal_gamma = 2;
  double scale = 1;
  Array distances;                                                  // [C][C]
  Array class_weights;                                              // [C]
  Array entropy_weights, positive_weight, focal_alpha, focal_rest;  // [C]; the last for 1-t under a sigmoid
  Array upstream;                                                   // as the value, for Reduction::none
  Array z, t, w;                                                    // [N][C][S]

  int64_t groups() const { return pooled ? 1 : N; }
  size_t at(int64_t n, int64_t c, int64_t s) const { return static_cast<size_t>((n * C + c) * S + s); }
  size_t row(int64_t n, int64_t c) const { return static_cast<size_t>((pooled ? 0 : n) * C + c); }
  bool sums_over_classes() const { return kind > Kind::tversky && kind != Kind::matthews; }
  bool compound() const { return cross_entropy_factor != 0 || focal_factor != 0; }
  bool value_per_group() const { return sums_over_classes() || compound(); }
  /// Whether class c of a voxel has a gradient, through its own weight or that of a class it is mixed with.
  bool counts(int64_t n, int64_t c, int64_t s) const {
    if (activation != Activation::softmax && overlap != Overlap::wasserstein) return w[at(n, c, s)] != 0;
    bool any = false;
    for (int64_t j = 0; j < C; j++) any = any || w[at(n, j, s)] != 0;
    return any;
  }
  double cost(int64_t c, int64_t j) const { return distances[static_cast<size_t>(c * C + j)]; }
};

/// The sums of one row, in the order of Sums.
constexpr int kSums = 8;
struct Row {
  Real x[kSums] = {};
  Real &I = x[0], &P = x[1], &T = x[2], &V = x[3], &W = x[4], &E = x[5], &U = x[6], &F = x[7];

  Row() = default;
  Row(const Row& other) { *this = other; }
  Row& operator=(const Row& other) {
    for (int k = 0; k < kSums; k++) x[k] = other.x[k];
    return *this;
  }
};
using Rows = std::vector<Row>;  // [groups][C]

struct Result {
  Rows sums;
  Array value, gradient, target_gradient;
};

// --- step 1 -----------------------------------------------------------------------------------------------

/// t*x, and 0 where t is 0.
inline double part(double t, double x) { return t == 0 ? 0 : t * x; }

/// p_c, -log p_c and -log(1-p_c) of every class at one voxel.
struct Probabilities {
  Array p, complement, neg_log_p, neg_log_not_p;  // complement: 1 - p
};

inline Probabilities probabilities_at(const Problem& x, int64_t n, int64_t s) {
  const size_t C = static_cast<size_t>(x.C);
  Probabilities probabilities{Array(C), Array(C), Array(C), Array(C)};
  double largest = -INFINITY, sum = 0;
  for (int64_t c = 0; c < x.C; c++) largest = std::fmax(largest, x.z[x.at(n, c, s)]);
  for (int64_t c = 0; c < x.C; c++) sum += std::exp(x.z[x.at(n, c, s)] - largest);
  for (size_t c = 0; c < C; c++) {
    const double z = x.z[x.at(n, static_cast<int64_t>(c), s)];
    switch (x.activation) {
      case Activation::none:
        probabilities.p[c] = z;
        probabilities.complement[c] = 1 - z;
        break;
      case Activation::sigmoid:
        probabilities.p[c] = 1 / (1 + std::exp(-z));
        probabilities.complement[c] = 1 / (1 + std::exp(z));
        probabilities.neg_log_p[c] = std::log1p(std::exp(-z));
        probabilities.neg_log_not_p[c] = std::log1p(std::exp(z));
        break;
      case Activation::softmax:
        probabilities.p[c] = std::exp(z - largest) / sum;
        probabilities.complement[c] = 1 - probabilities.p[c];
        probabilities.neg_log_p[c] = largest - z + std::log(sum);
        break;
    }
  }
  return probabilities;
}

inline double overlap_of(const Problem& x, const Probabilities& probabilities, int64_t c, double t) {
  const double p = probabilities.p[static_cast<size_t>(c)];
  if (x.overlap == Overlap::product) return p * t;
  if (x.overlap == Overlap::minimum) return std::fmin(p, t);
  double cost = 0;
  for (int64_t j = 0; j < x.C; j++) cost += x.cost(c, j) * probabilities.p[static_cast<size_t>(j)];
  return t * cost;
}

inline Rows statistics(const Problem& x) {
  Rows rows(static_cast<size_t>(x.groups() * x.C));
  const bool sigmoid = x.activation == Activation::sigmoid, has_logs = x.activation != Activation::none;
  const double g = x.focal_gamma;
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      const Probabilities probabilities = probabilities_at(x, n, s);
      for (int64_t c = 0; c < x.C; c++) {
        const size_t i = static_cast<size_t>(c);
        const double w = x.w[x.at(n, c, s)];
        if (w == 0) continue;
        const double p = probabilities.p[i], q = probabilities.complement[i], l = probabilities.neg_log_p[i],
                     o = probabilities.neg_log_not_p[i], t = x.t[x.at(n, c, s)];
        const double rest = sigmoid ? 1 - t : 0;
        Row& row = rows[x.row(n, c)];
        row.I += w * overlap_of(x, probabilities, c, t);
        row.P += w * (x.squared ? p * p : p);
        row.T += w * (x.squared ? t * t : t);
        row.V += w * t;
        row.W += w;
        if (!has_logs) continue;
        const double a = x.positive_weight[i];
        row.E += w * (part(t, a * l) + part(rest, o));
        row.U += w * (sigmoid ? (a * l + o) / 2 : l);
        row.F +=
            w * (part(t, x.focal_alpha[i] * std::pow(q, g) * l) + part(rest, x.focal_rest[i] * std::pow(p, g) * o));
      }
    }
  }
  return rows;
}

// --- step 2: the loss as a function of the sums -----------------------------------------------------------

inline bool counts(const Problem& x, int64_t c) { return x.background || c != 0 || x.kind == Kind::wasserstein; }

inline Real class_weight(const Problem& x, int64_t c) { return x.class_weights[static_cast<size_t>(c)]; }

inline Real transformed(const Problem& x, Real r, bool plain = false) {
  if (plain || x.power == 1) return 1 - r;
  return r >= 1 ? 0 : std::pow(1 - r, static_cast<Real>(x.power));
}

/// A, X and Y of Matthews' correlation.
struct Table {
  Real a = 0, x = 0, y = 0;
};

inline Table table_of(const Problem& x, const Row& y) {
  const Real s = x.smooth_denominator, tp = y.I + s, fp = y.P - y.I + s, fn = y.T - y.I + s,
             tn = y.W - y.P - y.T + y.I + s;
  return {tp * tn - fp * fn, (tp + fp) * (tn + fn), (tp + fn) * (tn + fp)};
}

inline Real correlation(const Table& t) { return t.x * t.y > 0 ? t.a / std::sqrt(t.x * t.y) : 0; }

/// y: the C rows of the group.
inline Real group_correlation(const Problem& x, const Row* y) {
  Table all;
  Row total;
  for (int64_t c = 0; c < x.C; c++) {
    const Real k = counts(x, c) ? class_weight(x, c) : 0;
    const Table t = table_of(x, y[c]);
    all = {all.a + k * t.a, all.x + k * t.x, all.y + k * t.y};
    for (int i = 0; i < kSums; i++) total.x[i] += k * y[c].x[i];
  }
  return correlation(x.kind == Kind::micro_matthews ? table_of(x, total) : all);
}

inline Real class_loss(const Problem& x, int64_t c, const Row& y) {
  if (x.kind == Kind::matthews) return transformed(x, correlation(table_of(x, y)));
  const Real n = x.smooth_numerator, d = x.smooth_denominator;
  if (x.kind == Kind::dice) return transformed(x, (2 * y.I + n) / (y.P + y.T + d));
  if (x.kind == Kind::jaccard) return transformed(x, (y.I + n) / (y.P + y.T - y.I + d));
  const bool plain = x.unified == Unified::asymmetric && c == 0;
  return transformed(x, (y.I + n) / (y.I + x.alpha * (y.P - y.I) + x.beta * (y.T - y.I) + d), plain);
}

/// y: the C rows of the group.
inline Real group_loss(const Problem& x, const Row* y) {
  if (x.kind >= Kind::matthews) return transformed(x, group_correlation(x, y));
  Real a = 0, b = 0;
  if (x.kind == Kind::wasserstein) {
    Real all = 0, right = 0;
    for (int64_t c = 0; c < x.C; c++) {
      all += y[c].I;
      if (c != 0) right += class_weight(x, c) * (x.cost(c, 0) * y[c].V - y[c].I);
    }
    a = 2 * right;
    b = 2 * right + all;
  } else {
    Real heaviest = 0;
    const auto weight = [&](const Row& row) { return 1 / (std::fmax(row.V, Real{1}) * std::fmax(row.V, Real{1})); };
    for (int64_t c = 0; c < x.C; c++) {
      if (counts(x, c) && y[c].V != 0) heaviest = std::fmax(heaviest, weight(y[c]));
    }
    for (int64_t c = 0; c < x.C; c++) {
      if (!counts(x, c)) continue;
      const Real w = class_weight(x, c) * (y[c].V != 0 ? weight(y[c]) : heaviest > 0 ? heaviest : 1);
      if (y[c].V != 0) a += 2 * w * y[c].I;
      b += w * (y[c].P + y[c].T);
    }
  }
  return transformed(x, (a + x.smooth_numerator) / (b + x.smooth_denominator));
}

/// The values, [1], [groups] or [groups][C].
inline std::vector<Real> values(const Problem& x, const Rows& rows) {
  const bool none = x.reduction == Reduction::none;
  std::vector<Real> out;
  Real total = 0, counted = 0;                                        // of the overlap
  Real entropy = 0, entropy_weight = 0, focal = 0, focal_weight = 0;  // of the group, or of all
  const bool sigmoid = x.activation == Activation::sigmoid;
  const auto put = [&] {
    const bool sums = x.reduction == Reduction::sum;
    const bool divides = none ? x.compound() && !x.sums_over_classes() : !sums;
    Real value = divides && counted > 0 ? total / counted : total;
    const auto mean = [&](Real sum, Real weight) { return sums ? sum : weight > 0 ? sum / weight : 0; };
    if (x.cross_entropy_factor != 0) value += x.cross_entropy_factor * mean(entropy, entropy_weight);
    if (x.focal_factor != 0) value += x.focal_factor * mean(focal, focal_weight);
    out.push_back(value);
    total = counted = entropy = entropy_weight = focal = focal_weight = 0;
  };
  for (int64_t g = 0; g < x.groups(); g++) {
    const Row* y = &rows[static_cast<size_t>(g * x.C)];
    if (x.sums_over_classes()) {
      total += group_loss(x, y);
      counted += 1;
    }
    for (int64_t c = 0; c < x.C; c++) {
      const Real k = class_weight(x, c), s = x.label_smoothing;
      const Real loss = x.sums_over_classes() || !counts(x, c) ? 0 : k * class_loss(x, c, y[c]);
      if (!x.sums_over_classes() && counts(x, c)) {
        total += loss;
        counted += 1;
      }
      if (x.unified != Unified::none) {
        const bool symmetric = x.unified == Unified::symmetric;
        entropy += c == 0 ? 0 : k * x.delta * y[c].E;
        focal += k * (c == 0 ? 1 - x.delta : symmetric ? x.delta : 0) * y[c].F;
        entropy_weight += y[c].W / static_cast<Real>(x.C);
        focal_weight += y[c].W / static_cast<Real>(x.C);
        continue;
      }
      const Real e = x.entropy_weights[static_cast<size_t>(c)];
      entropy += e * ((1 - s) * y[c].E + (sigmoid ? s : s / static_cast<Real>(x.C)) * y[c].U);
      entropy_weight += e * (sigmoid ? y[c].W : y[c].V);
      focal += k * y[c].F;
      focal_weight += k * y[c].W;
      if (none && !x.value_per_group()) out.push_back(loss);
    }
    if (none && x.value_per_group()) put();
  }
  if (!none) put();
  return out;
}

/// d (scale * upstream . values) / d sums, by central differences of second order in both directions.
inline Rows coefficients(const Problem& x, Rows rows) {
  Rows out(rows.size());
  const auto objective = [&] {
    const std::vector<Real> v = values(x, rows);
    Real sum = 0;
    for (size_t i = 0; i < v.size(); i++) sum += v[i] * (x.reduction == Reduction::none ? x.upstream[i] : 1);
    return x.scale * sum;
  };
  for (size_t i = 0; i < rows.size(); i++) {
    for (int k = 0; k < kSums; k++) {
      const bool matters = k < 3 || (k == 3 && x.value_per_group()) || (k > 4 && x.compound());
      if (!matters) continue;  // W depends on nothing that is differentiated
      const Real at = rows[i].x[k], size = std::fabs(rows[i].P) + std::fabs(rows[i].T);
      const Real h = 2e-5L * std::fmax(std::fabs(at), 1e-3L * size + 1e-9L);
      const auto slope = [&](Real step) {
        rows[i].x[k] = at + step;
        const Real above = objective();
        rows[i].x[k] = at - step;
        const Real below = objective();
        rows[i].x[k] = at;
        return (above - below) / (2 * step);
      };
      out[i].x[k] = (4 * slope(h) - slope(2 * h)) / 3;
    }
  }
  return out;
}

// --- step 3: dL/dp and dL/dt, then the derivative of the activation ---------------------------------------

inline Result solve(const Problem& x) {
  Result r;
  r.sums = statistics(x);
  for (Real v : values(x, r.sums)) r.value.push_back(static_cast<double>(v));
  const Rows d = coefficients(x, r.sums);
  r.gradient.resize(x.z.size());
  r.target_gradient.resize(x.z.size());
  const bool sigmoid = x.activation == Activation::sigmoid, has_logs = x.activation != Activation::none;
  const double g = x.focal_gamma;
  const size_t C = static_cast<size_t>(x.C);
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      const Probabilities probabilities = probabilities_at(x, n, s);
      Array dp(C);  // with the weights
      for (int64_t c = 0; c < x.C; c++) {
        const size_t i = static_cast<size_t>(c);
        const double w = x.w[x.at(n, c, s)], a = x.positive_weight[i], f = x.focal_alpha[i];
        if (w == 0) continue;
        const Row& dc = d[x.row(n, c)];
        const double dI = static_cast<double>(dc.I), dP = static_cast<double>(dc.P), dT = static_cast<double>(dc.T);
        const double dV = static_cast<double>(dc.V), dE = static_cast<double>(dc.E), dU = static_cast<double>(dc.U);
        const double dF = static_cast<double>(dc.F);
        const double p = probabilities.p[i], q = probabilities.complement[i], l = probabilities.neg_log_p[i],
                     o = probabilities.neg_log_not_p[i], t = x.t[x.at(n, c, s)];
        double& dt = r.target_gradient[x.at(n, c, s)];
        dp[i] += w * dP * (x.squared ? 2 * p : 1);
        dt += dT * (x.squared ? 2 * t : 1) + dV;
        if (x.overlap == Overlap::product) {
          dp[i] += w * dI * t;
          dt += dI * p;
        } else if (x.overlap == Overlap::minimum) {
          dp[i] += w * dI * (p < t ? 1 : p == t ? t : 0);
          dt += dI * (t < p ? 1 : p == t ? p : 0);
        } else {
          for (size_t j = 0; j < C; j++) dp[j] += w * dI * t * x.cost(c, static_cast<int64_t>(j));
          dt += t == 0 ? dI * overlap_of(x, probabilities, c, 1) : dI * overlap_of(x, probabilities, c, t) / t;
        }
        if (has_logs) {
          // -log p has the slope -1/p.
          dp[i] += w * (dE * a * -t / p + dU * (sigmoid ? (1 / q - a / p) / 2 : -1 / p));
          dp[i] += w * dF * f * t * (-std::pow(q, g) / p - (g == 0 ? 0 : g * std::pow(q, g - 1) * l));
          dt += dE * a * l + dF * f * std::pow(q, g) * l;
        }
        if (sigmoid) {
          const double r = x.focal_rest[i];
          dp[i] += w * dE * (1 - t) / q;
          dp[i] += w * dF * r * (1 - t) * (std::pow(p, g) / q + (g == 0 ? 0 : g * std::pow(p, g - 1) * o));
          dt -= dE * o + dF * r * std::pow(p, g) * o;
        }
        dt *= w;
      }
      double mean = 0;
      for (size_t c = 0; c < C; c++) mean += probabilities.p[c] * dp[c];
      for (size_t c = 0; c < C; c++) {
        double& dz = r.gradient[x.at(n, static_cast<int64_t>(c), s)];
        dz = dp[c];
        if (sigmoid) dz *= probabilities.p[c] * probabilities.complement[c];
        if (x.activation == Activation::softmax) dz = probabilities.p[c] * (dp[c] - mean);
      }
    }
  }
  return r;
}

}  // namespace reference
