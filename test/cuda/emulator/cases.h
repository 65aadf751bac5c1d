#pragma once
// The lists of losses, dtypes, targets, activations and shapes that kernels_test.cc combines into cases, and the arrays
// of a case. The engine must be able to do every combination.
#include <random>
#include <string>

#include "buffer.h"
#include "reference.h"

namespace cases {

using warpdice::DType;
namespace ref = reference;

struct LossCase {
  const char* name;
  ref::Kind kind;
  ref::Overlap overlap;
  bool squared;
  double power, cross_entropy, smoothing, focal, gamma;
  ref::Unified unified = ref::Unified::none;

  /// Others differ in step 2 alone, which is the same for every dtype and layout.
  bool has_kernels_of_its_own() const { return kind < ref::Kind::matthews && unified == ref::Unified::none; }
  bool has_logs() const { return cross_entropy != 0 || focal != 0; }
};

constexpr LossCase kLosses[] = {
    {"Dice", ref::Kind::dice, ref::Overlap::product, true, 1, 0, 0, 0, 2},
    {"linear Dice", ref::Kind::dice, ref::Overlap::product, false, 1, 0, 0, 0, 2},
    {"Jaccard", ref::Kind::jaccard, ref::Overlap::product, true, 1, 0, 0, 0, 2},
    {"focal Tversky", ref::Kind::tversky, ref::Overlap::product, false, 0.75, 0, 0, 0, 2},
    {"generalized Dice", ref::Kind::generalized, ref::Overlap::product, false, 1, 0, 0, 0, 2},
    {"semimetric Dice", ref::Kind::dice, ref::Overlap::minimum, false, 1, 0, 0, 0, 2},
    {"generalized Wasserstein", ref::Kind::wasserstein, ref::Overlap::wasserstein, true, 1, 0, 0, 0, 2},
    {"Dice with cross-entropy", ref::Kind::dice, ref::Overlap::product, true, 1, 0.7, 0, 0, 2},
    {"Dice with smoothed labels", ref::Kind::dice, ref::Overlap::product, true, 1, 0.7, 0.1, 0, 2},
    {"Dice with focal loss", ref::Kind::dice, ref::Overlap::product, true, 1, 0, 0, 0.6, 2},
    {"Matthews", ref::Kind::matthews, ref::Overlap::product, false, 1, 0, 0, 0, 2},
    {"micro Matthews with cross-entropy", ref::Kind::micro_matthews, ref::Overlap::product, false, 0.75, 0.5, 0, 0, 2},
    {"multiclass Matthews", ref::Kind::multiclass_matthews, ref::Overlap::minimum, false, 1, 0, 0, 0, 2},
    {"asymmetric Unified Focal", ref::Kind::tversky, ref::Overlap::product, false, 0.4, 0.3, 0, 0.3, 0.6,
     ref::Unified::asymmetric},
    {"symmetric Unified Focal", ref::Kind::tversky, ref::Overlap::product, false, 0.4, 0, 0, 0.3, 0.6,
     ref::Unified::symmetric},
    {"Jaccard with all", ref::Kind::jaccard, ref::Overlap::minimum, false, 1, 0.5, 0.2, 0.5, 0.5},
};
constexpr DType kDTypes[] = {DType::float32, DType::float64, DType::float16, DType::bfloat16};
constexpr ref::Activation kActivations[] = {ref::Activation::none, ref::Activation::sigmoid, ref::Activation::softmax};
enum class Target { labels_uint8, labels_int32, labels_int64, dense_uint8, dense_like, dense_unlike };
constexpr Target kTargets[] = {Target::labels_uint8, Target::labels_int32, Target::labels_int64, Target::dense_uint8,
                               Target::dense_like};

struct Shape {
  int64_t N, C, S;
};
/// Few classes, which lie in registers, and many, in tiles of every width; one voxel, odd rows, whole packs.
constexpr Shape kShapes[] = {{1, 3, 33},  {2, 1, 31},   {2, 2, 2055}, {1, 19, 257}, {3, 5, 1},   {1, 1, 1},
                             {1, 33, 40}, {2, 4, 1032}, {1, 8, 515},  {1, 7, 128},  {1, 72, 65}, {1, 150, 36}};
/// For narrow tiles and slabs of classes. They take the emulator long.
constexpr Shape kWideShapes[] = {{1, 290, 17}, {1, 530, 9}};

struct Case {
  const LossCase* loss;
  DType dtype;
  Target target;
  ref::Activation activation;
  bool channels_last;
  Shape shape;
  unsigned number;  // chooses the other options

  bool labels() const { return target <= Target::labels_int64; }
  bool bit(int i) const { return number * 2654435761u >> (31 - i) & 1; }

  /// Whether there is such a loss.
  bool makes_sense() const {
    if (!loss->has_kernels_of_its_own() && (dtype != DType::float32 || channels_last)) return false;
    if (loss->unified != ref::Unified::none && activation != ref::Activation::softmax) return false;
    if (activation == ref::Activation::none && loss->has_logs()) return false;
    // A correlation of one voxel a sample is 0/0: the differences of reference.h say nothing about its slope.
    if (loss->kind >= ref::Kind::matthews && shape.S == 1) return false;
    const bool needs_classes = activation == ref::Activation::softmax || loss->overlap == ref::Overlap::wasserstein;
    return shape.C > 1 || !needs_classes;
  }

  std::string name() const {
    const char* dtypes[] = {"float32", "float64", "float16", "bfloat16"};
    const char* activations[] = {"none", "sigmoid", "softmax"};
    const char* targets[] = {"uint8 labels", "int32 labels", "int64 labels",
                             "dense uint8",  "dense",        "dense of another dtype"};
    return std::string(loss->name) + ", " + dtypes[static_cast<int>(dtype)] + ", " +
           activations[static_cast<int>(activation)] + ", " + targets[static_cast<int>(target)] +
           (channels_last ? ", channels last" : "") + ", N=" + std::to_string(shape.N) +
           " C=" + std::to_string(shape.C) + " S=" + std::to_string(shape.S) + " (" + std::to_string(number) + ")";
  }
};

constexpr int64_t kIgnored = 200;

/// The arrays of one case, for the engine and for the reference.
struct Arrays {
  ref::Problem x;
  Buffer predictions, target, weight, class_weights, entropy_weights, positive_weight, focal_alpha, distances, upstream;
  bool weighted, own_weights, ignores, factors;  // own_weights: each class has its own
  bool weighs_classes;

  /// A float dtype other than the predictions'.
  static DType unlike(DType dtype, unsigned number) {
    return kDTypes[(static_cast<unsigned>(dtype) + 1 + number % 3) % 4];
  }
  static DType target_type(const Case& test) {
    const DType types[] = {DType::uint8, DType::int32, DType::int64,
                           DType::uint8, test.dtype,   unlike(test.dtype, test.number)};
    return types[static_cast<int>(test.target)];
  }
  static DType weight_type(const Case& test) {
    const DType types[] = {DType::uint8, DType::float32, test.dtype, unlike(test.dtype, test.number / 12)};
    return types[test.number / 3 % 4];
  }
  static size_t elements(const Case& test) { return static_cast<size_t>(test.shape.N * test.shape.C * test.shape.S); }
  static size_t voxels(const Case& test) { return static_cast<size_t>(test.shape.N * test.shape.S); }
  static size_t lies_at(const Case& test, int64_t n, int64_t c, int64_t s) {
    const int64_t C = test.shape.C, S = test.shape.S;
    return static_cast<size_t>(test.channels_last ? (n * S + s) * C + c : (n * C + c) * S + s);
  }

  explicit Arrays(const Case& test)
      : predictions(test.dtype, elements(test), test.bit(11)),
        target(target_type(test), test.labels() ? voxels(test) : elements(test), test.bit(12)),
        weight(weight_type(test), elements(test)),
        class_weights(DType::float64, static_cast<size_t>(test.shape.C)),
        entropy_weights(DType::float64, static_cast<size_t>(test.shape.C)),
        positive_weight(DType::float64, static_cast<size_t>(test.bit(1) ? 1 : test.shape.C)),
        focal_alpha(DType::float64, static_cast<size_t>(test.bit(2) ? 1 : test.shape.C)),
        distances(DType::float64, static_cast<size_t>(test.shape.C * test.shape.C)),
        upstream(test.bit(14) ? DType::float32 : DType::float64, static_cast<size_t>(test.shape.N * test.shape.C)),
        weighted(test.bit(6)),
        own_weights(weighted && test.bit(21)),
        ignores(test.labels() && test.bit(7)),
        factors(test.bit(16) && test.loss->has_logs()),
        weighs_classes(test.bit(22)) {
    const LossCase& loss = *test.loss;
    x.N = test.shape.N;
    x.C = test.shape.C;
    x.S = test.shape.S;
    x.activation = test.activation;
    x.overlap = loss.overlap;
    x.kind = loss.kind;
    x.unified = loss.unified;
    x.delta = 0.7;
    x.squared = loss.squared;
    x.power = loss.power;
    x.cross_entropy_factor = loss.cross_entropy;
    x.label_smoothing = loss.smoothing;
    x.focal_factor = loss.focal;
    x.focal_gamma = loss.gamma;
    x.alpha = 0.3;
    x.beta = 0.7;
    x.pooled = test.bit(3);
    x.background = x.C == 1 || test.bit(4);
    x.reduction = static_cast<ref::Reduction>(test.number % 3);
    x.smooth_numerator = test.bit(5) ? 0.5 : 0;
    x.smooth_denominator = test.bit(5) ? 0.25 : 1e-7;
    x.scale = 64;
    fill(test);
  }

 private:
  void fill(const Case& test) {
    std::mt19937 random(test.number);
    std::uniform_real_distribution<double> unit(0, 1);
    const int64_t base = x.C == 1 ? 1 : 0;
    x.z.resize(elements(test));
    x.t.resize(elements(test));
    x.w.assign(elements(test), 1);
    for (int64_t n = 0; n < x.N; n++) {
      for (int64_t s = 0; s < x.S; s++) {
        const size_t v = static_cast<size_t>(n * x.S + s);
        const bool ignored = ignores && unit(random) < 0.1;
        const int64_t label = ignored ? kIgnored : static_cast<int64_t>(unit(random) * static_cast<double>(x.C + base));
        // Not all of 600 classes fit a byte.
        const int64_t stored = target.dtype == DType::uint8 && !ignored ? label % kIgnored : label;
        if (test.labels()) target.set(v, static_cast<double>(stored));
        const bool hidden = unit(random) < 0.1;  // no class has a weight
        for (int64_t c = 0; c < x.C && weighted; c++) {
          const size_t i = own_weights ? lies_at(test, n, c, s) : v;
          const double w = std::floor(unit(random) * 3) / (weight.dtype == DType::uint8 ? 1 : 2);
          if (c == 0 || own_weights) weight.set(i, hidden ? 0 : w);
          x.w[x.at(n, c, s)] = weight.get(i);
        }
        for (int64_t c = 0; c < x.C; c++) {
          // With 300 classes 200 is a class too, unless it is ignored.
          if (ignored || (ignores && stored == kIgnored)) x.w[x.at(n, c, s)] = 0;
        }
        for (int64_t c = 0; c < x.C; c++) {
          const size_t i = lies_at(test, n, c, s);
          predictions.set(i, test.activation == ref::Activation::none ? unit(random) : 8 * unit(random) - 4);
          const bool counts = x.counts(n, c, s);
          if (!counts && c == 0) predictions.set(i, NAN);  // must not matter
          x.z[x.at(n, c, s)] = counts ? predictions.get(i) : 0;
          if (!test.labels()) target.set(i, target.dtype == DType::uint8 ? std::floor(2 * unit(random)) : unit(random));
          x.t[x.at(n, c, s)] = test.labels() ? stored == c + base : target.get(i);
        }
      }
    }
    const auto take = [&](Buffer& buffer, ref::Array& array, size_t count, double least = 0.5) {
      array.resize(count);
      for (size_t i = 0; i < count; i++) {
        buffer.set(i, least + unit(random));
        array[i] = buffer.get(i);
      }
    };
    take(class_weights, x.class_weights, static_cast<size_t>(x.C));
    if (!weighs_classes) x.class_weights.assign(static_cast<size_t>(x.C), 1);
    take(entropy_weights, x.entropy_weights, static_cast<size_t>(x.C));
    take(positive_weight, x.positive_weight, positive_weight.count);
    take(focal_alpha, x.focal_alpha, focal_alpha.count, 0);
    const auto all = [&](ref::Array& array, bool used) {
      array.resize(static_cast<size_t>(x.C), array[0]);
      if (!used) array.assign(static_cast<size_t>(x.C), 1);
    };
    if (!factors) x.entropy_weights = x.class_weights;
    all(x.positive_weight, factors && test.activation == ref::Activation::sigmoid);
    all(x.focal_alpha, factors);
    x.focal_rest.assign(static_cast<size_t>(x.C), 1);
    for (size_t c = 0; c < x.focal_alpha.size() && factors; c++) x.focal_rest[c] = 1 - x.focal_alpha[c];
    take(upstream, x.upstream, static_cast<size_t>(x.N * x.C));
    if (x.overlap != ref::Overlap::wasserstein) return;
    take(distances, x.distances, static_cast<size_t>(x.C * x.C));
    for (int64_t c = 0; c < x.C; c++) {
      const size_t i = static_cast<size_t>(c * x.C + c);
      distances.set(i, x.distances[i] = 0);
    }
  }
};

/// The call of a case, without its outputs.
inline warpdice::cuda::DeviceCall call_of(const Case& test, const Arrays& arrays) {
  using namespace warpdice;
  const ref::Problem& x = arrays.x;
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = x.N;
  call.in.classes = x.C;
  call.in.voxels = x.S;
  call.in.channels_last = test.channels_last;
  call.in.squared = x.squared;
  call.in.labels = test.labels();
  call.in.has_ignore = arrays.ignores;
  call.in.ignore_index = kIgnored;
  call.in.activation = static_cast<Activation>(x.activation);
  call.in.overlap = static_cast<Overlap>(x.overlap);
  call.in.cross_entropy = x.cross_entropy_factor != 0;
  call.in.uniform = x.label_smoothing != 0;
  call.in.focal = x.focal_factor != 0;
  call.in.focal_gamma = x.focal_gamma;
  call.in.distances = arrays.distances.doubles();
  call.in.predictions = arrays.predictions.operand();
  call.in.target = arrays.target.operand();
  if (arrays.weighted) (arrays.own_weights ? call.in.class_weight : call.in.weight) = arrays.weight.operand();
  LossOptions& options = call.options;
  const auto factors_of = [](const Buffer& buffer) { return ClassFactors{buffer.doubles(), buffer.count == 1}; };
  if (arrays.factors) {
    options.entropy_weights = arrays.entropy_weights.doubles();
    if (x.activation == ref::Activation::sigmoid) call.in.positive_weight = factors_of(arrays.positive_weight);
    if (x.focal_factor != 0) call.in.focal_alpha = factors_of(arrays.focal_alpha);
  }
  options.kind = static_cast<LossKind>(x.kind);
  options.unified = static_cast<Unified>(x.unified);
  options.delta = x.delta;
  options.reduction = static_cast<Reduction>(x.reduction);
  if (x.power != 1) {
    options.transform = Transform::power;
    options.gamma = 1 / x.power;
  }
  options.pooled = x.pooled;
  options.background = x.background;
  options.sigmoid = x.activation == ref::Activation::sigmoid;
  options.smooth_numerator = x.smooth_numerator;
  options.smooth_denominator = x.smooth_denominator;
  options.alpha = x.alpha;
  options.beta = x.beta;
  options.cross_entropy_factor = x.cross_entropy_factor;
  options.label_smoothing = x.label_smoothing;
  options.focal_factor = x.focal_factor;
  options.distances = arrays.distances.doubles();
  options.class_weights = arrays.weighs_classes ? arrays.class_weights.doubles() : nullptr;
  call.upstream_dtype = arrays.upstream.dtype;
  call.upstream = x.reduction == ref::Reduction::none ? arrays.upstream.doubles() : nullptr;
  return call;
}

}  // namespace cases
