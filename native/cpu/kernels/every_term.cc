#include "cpu/kernels/every_term.h"

#include "cpu/kernels/odds.h"

namespace warpdice::cpu::WARPDICE_TARGET {
namespace {

/// The passes of one call on steps of one kind of target.
template <class T, class Target>
class EveryTerm {
 public:
  EveryTerm(const Inputs& in, Vec<T>* memory)
      : in_(in), sigmoid_(in.activation == Activation::sigmoid), gamma_(static_cast<T>(in.focal_gamma)) {
    const int64_t array = in.classes * kUnroll;
    odds_ = {memory, memory + array, memory + 2 * array, memory + 3 * array};
    focal_ = odds_.neg_log_not_p;
    q_ = odds_.neg_log_p;
    for (int whole = 1; whole <= 4; whole++) {
      if (gamma_ == static_cast<T>(whole)) whole_gamma_ = whole;
    }
  }

  /// totals: [C], added to.
  void statistics(Steps<T, Target> steps, Totals* totals) const {
    Extremes<T> seen;
    for (int64_t i = 0; i < steps.count; i++, steps.next()) {
      find(steps, false);
      for (int64_t c = 0; c < in_.classes; c++) {
        const T* w = weights(steps, c);
        const TermFactors<T> factors = term_factors<T>(in_, c);
        Vec<T> x[kUnroll];
        if (!Target::kLabels) note(w, seen, [&](int u) { return steps.target.get(c, u); });
        if (in_.activation == Activation::none) note(w, seen, [&](int u) { return p(c, u); });
        overlap(steps, c, x);
        add_any(w, x, totals[c].intersection);
        add_each(w, totals[c].prediction, [&](int u) { return in_.squared ? square(p(c, u)) : p(c, u); });
        if (!Target::kLabels || w) {  // unweighted labels are counted elsewhere (KernelRun)
          const auto t = [&](int u) { return steps.target.get(c, u); };
          add_each(w, totals[c].target, [&](int u) { return in_.squared ? square(t(u)) : t(u); });
          add_each(w, totals[c].volume, t);
        }
        if (has_own_weights(steps)) add_each(w, totals[c].weight, [&](int) { return splat<T>(1); });
        if (in_.cross_entropy) {
          const auto value = [&](int u) { return shares(steps, c, u, entropy(c, u, factors)); };
          add_each(w, totals[c].cross_entropy, value);
        }
        if (in_.uniform) {
          const auto value = [&](int u) {
            const Pair pair = entropy(c, u, factors);
            return sigmoid_ ? (pair.target + pair.rest) * static_cast<T>(0.5) : pair.target;
          };
          add_each(w, totals[c].uniform, value);
        }
        if (in_.focal) {
          const auto value = [&](int u) { return shares(steps, c, u, focal(steps, c, u, false)); };
          const auto with_alpha = [&](int u) {
            return shares(steps, c, u, balanced(factors, focal(steps, c, u, false)));
          };
          if (in_.focal_alpha.factors) add_each(w, totals[c].focal, with_alpha);
          else add_each(w, totals[c].focal, value);
        }
      }
    }
    steps.seen->add(seen);
  }

  /// dL/dz. coefficients, slopes: [C]; the latter without the overlap unless it is the product. dp: [C][kUnroll].
  void gradient(Steps<T, Target> steps, const Coefficients* coefficients, const Slope<T>* slopes, Vec<T>* dp,
                Sink<T> sink) const {
    const bool softmax = in_.activation == Activation::softmax, wasserstein = in_.overlap == Overlap::wasserstein;
    for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
      find(steps, true);
      Vec<T> mean[kUnroll] = {};  // sum_j p_j*dp_j - q_j
      // A voxel's weight is multiplied in at the end, those of its classes before they are mixed.
      const bool own = has_own_weights(steps);
      Mask<T> counts[kUnroll] = {};  // where classes are mixed: some class has a weight
      for (int64_t c = 0; c < in_.classes; c++) {
        const TermFactors<T> factors = term_factors<T>(in_, c);
        Vec<T> x[kUnroll];
        overlap_slope(steps, coefficients, c, x);
        if (own && !wasserstein) weigh<T>(weights(steps, c), x);  // its x has the weights of the targets' classes
        if (own) note_weights(steps, c, counts);
        for (int u = 0; u < kUnroll; u++) {
          const int64_t at = c * kUnroll + u;
          const Vec<T> difference = minus_target<T, true>(steps, c, u, p(c, u), -odds_.complement[at]);
          const Vec<T> q = own_share(steps, c, u, logit_slope(steps, coefficients[c], c, u, factors));
          dp[at] = x[u] + own_share(steps, c, u, slope_at<T, false>(steps, slopes[c], c, u, difference));
          mean[u] += p(c, u) * dp[at] - q;
          q_[at] = q;  // replaces l of this class, which is not needed any more
        }
      }
      for (int64_t c = 0; c < in_.classes; c++) {
        Vec<T> g[kUnroll];
        for (int u = 0; u < kUnroll; u++) {
          const int64_t at = c * kUnroll + u;
          if (softmax) g[u] = p(c, u) * (dp[at] - mean[u]) - q_[at];
          else if (sigmoid_) g[u] = dp[at] * (p(c, u) * odds_.complement[at]) - q_[at];
          else g[u] = dp[at];
        }
        if (own && !in_.mixes_classes()) note_weights(steps, c, counts);
        for (int u = 0; u < kUnroll && own; u++) g[u] = counts[u] ? g[u] : Vec<T>{};  // NaN there says nothing
        if (!own && steps.weight) weigh<T>(steps.weight, g);
        sink.put(c, g);
      }
    }
  }

  /// dL/dt of a dense target.
  void target_gradient(Steps<T, Target> steps, const Coefficients* coefficients, Sink<T> sink) const {
    for (int64_t i = 0; i < steps.count; i++, steps.next(), sink.data += kStep<T>) {
      find(steps, false);
      for (int64_t c = 0; c < in_.classes; c++) {
        const Coefficients& d = coefficients[c];
        const TermFactors<T> factors = term_factors<T>(in_, c);
        const TargetSlope<T> slope = target_slope<T>(in_, d);
        // For a class of weight 0 they are 0, and stay 0 at p = 0, where the logarithms are infinite.
        const T entropy_slope = static_cast<T>(d.cross_entropy), focal_slope = static_cast<T>(d.focal);
        Vec<T> g[kUnroll];
        overlap_target_slope(steps, d, c, g);
        for (int u = 0; u < kUnroll; u++) {
          g[u] += slope.at(steps.target.get(c, u));
          if (in_.cross_entropy && entropy_slope != 0) {
            const Pair pair = entropy(c, u, factors);
            g[u] += entropy_slope * (pair.target - pair.rest);
          }
          if (!in_.focal || focal_slope == 0) continue;
          const Pair pair = balanced(factors, focal(steps, c, u, false));
          g[u] += focal_slope * (pair.target - pair.rest);
        }
        if (const T* w = weights(steps, c)) weigh<T>(w, g);
        sink.put(c, g);
      }
    }
  }

 private:
  /// The factors of t and of 1-t.
  struct Pair {
    Vec<T> target, rest;
  };

  static WARPDICE_INLINE bool has_own_weights(const Steps<T, Target>& steps) { return steps.weight_stride != 0; }

  /// The weights of class c; null where there are none.
  static WARPDICE_INLINE const T* weights(const Steps<T, Target>& steps, int64_t c) {
    return steps.weight ? steps.weight + c * steps.weight_stride : nullptr;
  }

  static WARPDICE_INLINE Vec<T> weight_at(const Steps<T, Target>& steps, int64_t c, int u) {
    return load<Vec<T>>(weights(steps, c) + u * Simd<T>::lanes);
  }

  /// x times the class's own weight, if it has one; 0 where that is 0.
  static WARPDICE_INLINE Vec<T> own_share(const Steps<T, Target>& steps, int64_t c, int u, Vec<T> x) {
    if (!has_own_weights(steps)) return x;
    const Vec<T> w = weight_at(steps, c, u), zero = {};
    return w == zero ? zero : w * x;
  }

  /// Adds the vectors where class c has a weight; unless the classes are mixed only these count for it.
  WARPDICE_INLINE void note_weights(const Steps<T, Target>& steps, int64_t c, Mask<T> (&counts)[kUnroll]) const {
    const Vec<T> zero = {};
    for (int u = 0; u < kUnroll; u++) {
      if (!in_.mixes_classes()) counts[u] = Mask<T>{};
      counts[u] |= weight_at(steps, c, u) != zero;
    }
  }

  static WARPDICE_INLINE Vec<T> square(Vec<T> x) { return x * x; }
  WARPDICE_INLINE Vec<T> p(int64_t c, int u) const { return odds_.p[c * kUnroll + u]; }
  WARPDICE_INLINE Vec<T> l(int64_t c, int u) const { return odds_.neg_log_p[c * kUnroll + u]; }
  WARPDICE_INLINE Vec<T> o(int64_t c, int u) const { return odds_.neg_log_not_p[c * kUnroll + u]; }

  /// slope: for a derivative with respect to z.
  void find(const Steps<T, Target>& steps, bool slope) const {
    const View<T>& z = steps.z;
    const bool logs = in_.cross_entropy || in_.uniform || in_.focal;
    if (in_.activation == Activation::softmax) {
      find_softmax(in_.classes, z, logs, odds_);
      if (in_.focal) find_focal(steps, slope);
      return;
    }
    if (sigmoid_) return find_sigmoid(in_.classes, z, logs, odds_);
    for (int64_t c = 0; c < in_.classes; c++) {
      for (int u = 0; u < kUnroll; u++) {
        odds_.p[c * kUnroll + u] = z.get(c, u);
        odds_.complement[c * kUnroll + u] = static_cast<T>(1) - z.get(c, u);
      }
    }
  }

  /// t*x + (1-t)*y; a factor 0 makes 0 even of infinity.
  WARPDICE_INLINE Vec<T> shares(const Steps<T, Target>& steps, int64_t c, int u, Pair of) const {
    if constexpr (Target::kLabels) return steps.target.select(c, u, of.target, of.rest);
    const Vec<T> zero = {}, t = steps.target.get(c, u), other = static_cast<T>(1) - t;
    return (t == zero ? zero : t * of.target) + (other == zero ? zero : other * of.rest);
  }

  WARPDICE_INLINE Pair entropy(int64_t c, int u, const TermFactors<T>& factors) const {
    return {scaled<T>(factors.entropy, l(c, u)), sigmoid_ ? o(c, u) : Vec<T>{}};
  }

  /// Softmax: (1-p)^g*l of the target, or h. With labels once per voxel, not per class.
  void find_focal(const Steps<T, Target>& steps, bool slope) const {
    const auto of = [&](Vec<T> p, Vec<T> complement, Vec<T> l) {
      const Vec<T> one = splat<T>(1);
      const Vec<T> rest = power(complement, gamma_, whole_gamma_, [&] { return -log_positive(complement); });
      return rest * (slope ? one + gamma_ * p * finite<T>(l) / complement : l);
    };
    for (int u = 0; u < kUnroll; u++) {
      Vec<T> p_here = {};
      Vec<T> complement = {};
      Vec<T> l_here = {};
      for (int64_t c = 0; c < in_.classes; c++) {
        const int64_t i = c * kUnroll + u;
        if constexpr (Target::kLabels) {
          p_here += steps.target.times(c, u, p(c, u));
          complement += steps.target.times(c, u, odds_.complement[i]);
          l_here += steps.target.times(c, u, l(c, u));
        } else {
          focal_[i] = of(p(c, u), odds_.complement[i], l(c, u));
        }
      }
      if constexpr (Target::kLabels) focal_[u] = of(p_here, complement, l_here);
    }
  }

  /// The focal loss's terms, or its parts of q, for t and for 1-t. With labels both are the term of the side where t
  /// is 1. Without the factors.
  WARPDICE_INLINE Pair focal(const Steps<T, Target>& steps, int64_t c, int u, bool slope) const {
    const int64_t i = c * kUnroll + u;
    if (!sigmoid_) return {focal_[Target::kLabels ? u : i], Vec<T>{}};
    const auto of = [&](Vec<T> p, Vec<T> complement, Vec<T> l, Vec<T> o) {
      return power(complement, gamma_, whole_gamma_, [&] { return o; }) *
             (slope ? gamma_ * p * finite<T>(l) + complement : l);
    };
    Pair pair;
    if constexpr (Target::kLabels) {
      const auto side = [&](Vec<T> t, Vec<T> rest) { return steps.target.select(c, u, t, rest); };
      const Vec<T> p_here = side(p(c, u), odds_.complement[i]), complement = side(odds_.complement[i], p(c, u));
      pair.target = pair.rest = of(p_here, complement, side(l(c, u), o(c, u)), side(o(c, u), l(c, u)));
    } else {
      pair = {of(p(c, u), odds_.complement[i], l(c, u), o(c, u)), of(odds_.complement[i], p(c, u), o(c, u), l(c, u))};
    }
    if (slope) pair.rest = -pair.rest;
    return pair;
  }

  static WARPDICE_INLINE Pair balanced(const TermFactors<T>& factors, Pair of) {
    return {scaled<T>(factors.focal, of.target), scaled<T>(factors.focal_rest, of.rest)};
  }

  /// q of one class and vector.
  WARPDICE_INLINE Vec<T> logit_slope(const Steps<T, Target>& steps, const Coefficients& d, int64_t c, int u,
                                     const TermFactors<T>& factors) const {
    const Vec<T> pu = p(c, u), complement = odds_.complement[c * kUnroll + u], zero = {};
    Vec<T> q = zero;
    if (in_.cross_entropy) {
      const Pair pair = {sigmoid_ ? factors.entropy * complement : splat<T>(1), sigmoid_ ? -pu : zero};
      q += static_cast<T>(d.cross_entropy) * shares(steps, c, u, pair);
    }
    if (in_.uniform) {
      q += static_cast<T>(d.uniform) *
           (sigmoid_ ? (factors.entropy * complement - pu) * static_cast<T>(0.5) : splat<T>(1));
    }
    if (!in_.focal) return q;
    const Pair pair = focal(steps, c, u, true);
    if (!in_.focal_alpha.factors) return q + static_cast<T>(d.focal) * shares(steps, c, u, pair);
    q += static_cast<T>(d.focal) * shares(steps, c, u, balanced(factors, pair));
    return q;
  }

  /// The term of class c in I.
  void overlap(const Steps<T, Target>& steps, int64_t c, Vec<T> (&x)[kUnroll]) const {
    if (in_.overlap == Overlap::wasserstein) {
      distance_to(c, x);
      for (int u = 0; u < kUnroll; u++) x[u] = steps.target.times(c, u, x[u]);
      return;
    }
    for (int u = 0; u < kUnroll; u++) {
      if (in_.overlap == Overlap::product) {
        x[u] = steps.target.times(c, u, p(c, u));
      } else {
        const Vec<T> pu = p(c, u), t = steps.target.get(c, u);
        x[u] = pu < t ? pu : t <= pu ? t : pu + t;  // NaN of either
      }
    }
  }

  /// sum_j M[c,j]*p_j
  void distance_to(int64_t c, Vec<T> (&x)[kUnroll]) const {
    for (Vec<T>& v : x) v = Vec<T>{};
    for (int64_t j = 0; j < in_.classes; j++) {
      const T distance = static_cast<T>(in_.distances[c * in_.classes + j]);
      for (int u = 0; u < kUnroll; u++) x[u] += distance * p(j, u);
    }
  }

  /// The part of I in dp of class c; 0 for the product, which slope_at() includes.
  void overlap_slope(const Steps<T, Target>& steps, const Coefficients* d, int64_t c, Vec<T> (&x)[kUnroll]) const {
    for (Vec<T>& v : x) v = Vec<T>{};
    if (in_.overlap == Overlap::minimum) {
      const T slope = static_cast<T>(d[c].intersection);
      for (int u = 0; u < kUnroll; u++) x[u] = slope * below(p(c, u), steps.target.get(c, u));
    } else if (in_.overlap == Overlap::wasserstein) {
      for (int64_t j = 0; j < in_.classes; j++) {
        const T slope = static_cast<T>(d[j].intersection * in_.distances[j * in_.classes + c]);
        for (int u = 0; u < kUnroll; u++) x[u] += slope * own_share(steps, j, u, steps.target.get(j, u));
      }
    }
  }

  /// The part of I in dL/dt of class c.
  void overlap_target_slope(const Steps<T, Target>& steps, const Coefficients& d, int64_t c,
                            Vec<T> (&x)[kUnroll]) const {
    const T slope = static_cast<T>(d.intersection);
    if (in_.overlap == Overlap::wasserstein) distance_to(c, x);
    for (int u = 0; u < kUnroll; u++) {
      if (in_.overlap == Overlap::product) x[u] = p(c, u);
      if (in_.overlap == Overlap::minimum) x[u] = below(steps.target.get(c, u), p(c, u));
      x[u] *= slope;
    }
  }

  /// 1 where a < b, else 0; at a tie b. So a mask has the slope of the product: at a = b = 0 it is 0.
  static WARPDICE_INLINE Vec<T> below(Vec<T> a, Vec<T> b) {
    const Vec<T> zero = {};
    return a < b ? splat<T>(1) : a == b ? b : zero;
  }

  template <class Value>
  static WARPDICE_INLINE void add_each(const T* weight, Vec<double>& total, Value value) {
    Vec<T> x[kUnroll];
    for (int u = 0; u < kUnroll; u++) x[u] = value(u);
    add_any(weight, x, total);
  }

  /// Notes values that must be probabilities, as 0 where the weight is 0.
  template <class Value>
  static WARPDICE_INLINE void note(const T* weight, Extremes<T>& seen, Value value) {
    const Vec<T> zero = {};
    for (int u = 0; u < kUnroll; u++) {
      Vec<T> x = value(u);
      if (weight) x = load<Vec<T>>(weight + u * Simd<T>::lanes) == zero ? zero : x;
      seen.note(u, x);
    }
  }

  static void add_any(const T* weight, Vec<T> (&x)[kUnroll], Vec<double>& total) {
    if (weight) weigh<T>(weight, x);
    total += tree_sum<T>(x);
  }

  const Inputs& in_;
  Odds<T> odds_;
  // These share memory with arrays that are not needed any more, or not at all:
  Vec<T>* focal_;  // with softmax, of neg_log_not_p
  Vec<T>* q_;      // of neg_log_p, class by class
  const bool sigmoid_;
  const T gamma_;
  int whole_gamma_ = 0;  // g from 1 to 4, or 0 for any other
};

}  // namespace

template <class T, class Target>
void add_every_term(const Inputs& in, Vec<T>* memory, const Steps<T, Target>& steps, Totals* totals) {
  EveryTerm<T, Target>(in, memory).statistics(steps, totals);
}

template <class T, class Target>
void every_term_gradient(const Inputs& in, Vec<T>* memory, const Steps<T, Target>& steps,
                         const Coefficients* coefficients, const Slope<T>* slopes, Vec<T>* dp, const Sink<T>& sink) {
  EveryTerm<T, Target>(in, memory).gradient(steps, coefficients, slopes, dp, sink);
}

template <class T>
void every_term_target_gradient(const Inputs& in, Vec<T>* memory, const Steps<T, DenseTarget<T>>& steps,
                                const Coefficients* coefficients, const Sink<T>& sink) {
  EveryTerm<T, DenseTarget<T>>(in, memory).target_gradient(steps, coefficients, sink);
}

// NOLINTBEGIN(bugprone-macro-parentheses): the arguments are types.
#define WARPDICE_OF_TARGET(T, Target)                                                                     \
  template void add_every_term(const Inputs&, Vec<T>*, const Steps<T, Target>&, Totals*);                 \
  template void every_term_gradient(const Inputs&, Vec<T>*, const Steps<T, Target>&, const Coefficients*, \
                                    const Slope<T>*, Vec<T>*, const Sink<T>&)
#define WARPDICE_OF(T)                                                                              \
  WARPDICE_OF_TARGET(T, LabelTarget<T>);                                                            \
  WARPDICE_OF_TARGET(T, DenseTarget<T>);                                                            \
  template void every_term_target_gradient(const Inputs&, Vec<T>*, const Steps<T, DenseTarget<T>>&, \
                                           const Coefficients*, const Sink<T>&)
// NOLINTEND(bugprone-macro-parentheses)
WARPDICE_OF(float);
WARPDICE_OF(double);

}  // namespace warpdice::cpu::WARPDICE_TARGET
