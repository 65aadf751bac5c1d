// The CUDA kernels in the emulator against reference.h: every dtype, target, activation and layout, on awkward
// shapes; the other options take turns. Prints what differs; exit status 1 when something does.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "../../native/cuda/engine.h"
#include "reference.h"
#include "simt.h"

namespace {

using namespace warpdice;

int failures = 0;
std::string test_name;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  failures++;
  if (failures <= 20) std::printf("FAILED %s: %s\n", test_name.c_str(), what.c_str());
}

double to_double(const void* data, DType dtype, size_t i) {
  switch (dtype) {
    case DType::float32:
      return static_cast<const float*>(data)[i];
    case DType::float64:
      return static_cast<const double*>(data)[i];
    case DType::float16:
      return simt::half_to_float(static_cast<const uint16_t*>(data)[i]);
    case DType::bfloat16:
      return simt::bfloat16_to_float(static_cast<const uint16_t*>(data)[i]);
    case DType::uint8:
      return static_cast<const uint8_t*>(data)[i];
    case DType::int32:
      return static_cast<const int32_t*>(data)[i];
    case DType::int64:
      return static_cast<double>(static_cast<const int64_t*>(data)[i]);
  }
  return 0;
}

/// Device memory: exactly as large as its content, so that AddressSanitizer sees the first byte beyond it.
struct Buffer {
  DType dtype;
  size_t count;
  std::unique_ptr<char[]> bytes;

  Buffer(DType type, size_t elements) : dtype(type), count(elements), bytes(new char[elements * size_of(type)]) {
    std::memset(bytes.get(), 0xff, elements * size_of(type));
  }
  void set(size_t i, double x) {
    void* data = bytes.get();
    switch (dtype) {
      case DType::float32:
        static_cast<float*>(data)[i] = static_cast<float>(x);
        break;
      case DType::float64:
        static_cast<double*>(data)[i] = x;
        break;
      case DType::float16:
        static_cast<uint16_t*>(data)[i] = simt::float_to_half(static_cast<float>(x));
        break;
      case DType::bfloat16:
        static_cast<uint16_t*>(data)[i] = simt::float_to_bfloat16(static_cast<float>(x));
        break;
      case DType::uint8:
        static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(x);
        break;
      case DType::int32:
        static_cast<int32_t*>(data)[i] = static_cast<int32_t>(x);
        break;
      case DType::int64:
        static_cast<int64_t*>(data)[i] = static_cast<int64_t>(x);
        break;
    }
  }
  double get(size_t i) const { return to_double(bytes.get(), dtype, i); }
  double* doubles() { return reinterpret_cast<double*>(bytes.get()); }
  Operand operand() const { return {bytes.get(), dtype}; }
};

enum class TargetKind { labels_uint8, labels_int32, labels_int64, dense_uint8, dense_like };

struct Case {
  DType dtype;
  TargetKind target;
  Activation activation;
  bool channels_last;
  int64_t N, C, S;
  unsigned number;  // picks the options that take turns

  bool labels() const { return target <= TargetKind::labels_int64; }
  bool bit(int i) const { return number * 2654435761u >> (31 - i) & 1; }
};

double unit_roundoff(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return 0x1p-11;
    case DType::bfloat16:
      return 0x1p-8;
    case DType::float64:
      return 0x1p-53;
    default:
      return 0x1p-24;
  }
}

bool is_half(DType dtype) { return size_of(dtype) == 2; }

/// Losses: 1 - A/B, so that a few voxels of rounded terms leave an error of the 1 they are taken from.
void compare(const char* what, const Buffer& got, const reference::Array& want, double tolerance, double scale) {
  for (size_t i = 0; i < want.size(); i++) {
    const double bound = tolerance * std::fmax(std::fabs(want[i]), scale);
    expect(std::fabs(got.get(i) - want[i]) <= bound, std::string(what) + "[" + std::to_string(i) + "] is " +
                                                         std::to_string(got.get(i)) + ", not " +
                                                         std::to_string(want[i]));
  }
}

void run(const Case& test) {
  std::mt19937 random(test.number);
  std::uniform_real_distribution<double> unit(0, 1);
  reference::Problem x;
  x.N = test.N, x.C = test.C, x.S = test.S;
  x.activation = static_cast<int>(test.activation);
  x.squared = test.bit(0), x.minimum = test.bit(1), x.jaccard = test.bit(2), x.pooled = test.bit(3);
  x.background = x.C == 1 || test.bit(4);
  x.reduction = static_cast<int>(test.number % 3);
  x.smooth_numerator = test.bit(5) ? 0.5 : 0;
  x.smooth_denominator = test.bit(5) ? 0.25 : 1e-7;
  x.scale = 64;
  const bool weighted = test.bit(6), ignores = test.labels() && test.bit(7), accumulates = test.bit(8);
  const bool in_place = test.bit(9) && !accumulates;
  const bool widens = is_half(test.dtype) && test.bit(10) && !in_place;
  const size_t elements = static_cast<size_t>(x.N * x.C * x.S), voxels = static_cast<size_t>(x.N * x.S);
  const size_t rows = static_cast<size_t>(x.groups() * x.C);
  const DType weight_types[] = {DType::uint8, DType::float32, test.dtype};
  const DType label_types[] = {DType::uint8, DType::int32, DType::int64, DType::uint8, test.dtype};

  Buffer predictions(test.dtype, elements);
  Buffer target(label_types[static_cast<int>(test.target)], test.labels() ? voxels : elements);
  Buffer weight(weight_types[test.number / 3 % 3], voxels), class_weights(DType::float64, rows);
  Buffer upstream(DType::float64, rows), value(DType::float64, rows), per_class(DType::float64, rows);
  Buffer statistics(DType::float64, rows * kSumCount), device_scale(DType::float32, 1);
  Buffer gradient(widens ? DType::float32 : test.dtype, elements);
  x.z.resize(elements), x.t.resize(elements), x.w.assign(voxels, 1);
  const auto lies_at = [&](int64_t n, int64_t c, int64_t s) {
    return static_cast<size_t>(test.channels_last ? (n * x.S + s) * x.C + c : (n * x.C + c) * x.S + s);
  };
  constexpr int64_t kIgnore = 200;
  const int64_t base = x.C == 1 ? 1 : 0;
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t s = 0; s < x.S; s++) {
      const size_t v = static_cast<size_t>(n * x.S + s);
      const bool ignored = ignores && unit(random) < 0.1;
      const int64_t label = ignored ? kIgnore : static_cast<int64_t>(unit(random) * static_cast<double>(x.C + base));
      if (test.labels()) target.set(v, static_cast<double>(label));
      if (weighted) {
        weight.set(v, std::floor(unit(random) * 3) / (weight.dtype == DType::uint8 ? 1 : 2));
        x.w[v] = weight.get(v);
      }
      if (ignored) x.w[v] = 0;
      for (int64_t c = 0; c < x.C; c++) {
        const size_t i = lies_at(n, c, s);
        predictions.set(i, test.activation == Activation::none ? unit(random) : 8 * unit(random) - 4);
        if (x.w[v] == 0 && c == 0) predictions.set(i, NAN);  // must not matter
        x.z[x.at(n, c, s)] = x.w[v] == 0 ? 0 : predictions.get(i);
        if (!test.labels()) target.set(i, target.dtype == DType::uint8 ? std::floor(2 * unit(random)) : unit(random));
        x.t[x.at(n, c, s)] = test.labels() ? label == c + base : target.get(i);
      }
    }
  }
  x.class_weights.resize(static_cast<size_t>(x.C)), x.upstream.resize(rows);
  for (size_t c = 0; c < x.class_weights.size(); c++) class_weights.set(c, x.class_weights[c] = 0.5 + unit(random));
  for (size_t i = 0; i < rows; i++) upstream.set(i, x.upstream[i] = 0.5 + unit(random));
  if (accumulates) {
    for (size_t i = 0; i < elements; i++) gradient.set(i, 0.25);
  }

  LabelFault faults;
  cuda::DeviceCall call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = call.statistics_samples = x.N, call.in.classes = x.C, call.in.voxels = x.S;
  call.in.channels_last = test.channels_last;
  call.in.squared = x.squared;
  call.in.labels = test.labels();
  call.in.has_ignore = ignores, call.in.ignore_index = kIgnore;
  call.in.activation = test.activation;
  call.in.overlap = x.minimum ? Overlap::minimum : Overlap::product;
  call.in.predictions = predictions.operand(), call.in.target = target.operand();
  if (weighted) call.in.weight = weight.operand();
  call.options.kind = x.jaccard ? LossKind::jaccard : LossKind::dice;
  call.options.reduction = static_cast<Reduction>(x.reduction);
  call.options.pooled = x.pooled, call.options.background = x.background;
  call.options.smooth_numerator = x.smooth_numerator, call.options.smooth_denominator = x.smooth_denominator;
  call.options.class_weights = class_weights.doubles();
  call.upstream = x.reduction == 0 ? upstream.doubles() : nullptr;
  call.scale = x.scale / 16;
  device_scale.set(0, 16);
  call.device_scale = device_scale.operand();
  call.statistics = statistics.doubles();
  call.value = value.doubles(), call.per_class = per_class.doubles();
  call.grad.data = in_place ? predictions.bytes.get() : gradient.bytes.get();
  call.grad.dtype = gradient.dtype, call.grad.accumulate = accumulates;
  call.faults = &faults;
  Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
  const cudaError_t status = cuda::enqueue(call, cuda::Limits{}, workspace.bytes.get(), nullptr);
  expect(status == cudaSuccess, "error " + std::to_string(status) + " " + simt::last_fault());
  expect(faults.count == 0, "valid labels are faults");

  const reference::Result want = reference::solve(x);
  const double tolerance = test.dtype == DType::float64 ? 1e-12 : 1e-6;
  const reference::Array* sums[] = {&want.I, &want.P, &want.T, &want.V, &want.W};
  for (size_t i = 0; i < rows; i++) {
    for (size_t k = 0; k < 5; k++) {
      const double wanted = (*sums[k])[i], got = statistics.get(i * kSumCount + k);
      expect(std::fabs(got - wanted) <= tolerance * std::fmax(wanted, 1e-3),
             "sum " + std::to_string(k) + " of row " + std::to_string(i) + " is " + std::to_string(got));
    }
    for (size_t k = 5; k < kSumCount; k++) expect(statistics.get(i * kSumCount + k) == 0, "an unused sum is not 0");
  }
  const double scale = x.S < 32 ? 1 : 0.1;
  compare("value", value, want.value, tolerance, scale);
  compare("per_class", per_class, want.per_class, tolerance, scale);

  double largest = 0;
  for (double g : want.gradient) largest = std::fmax(largest, std::fabs(g));
  const Buffer& out = in_place ? predictions : gradient;
  for (int64_t n = 0; n < x.N; n++) {
    for (int64_t c = 0; c < x.C; c++) {
      for (int64_t s = 0; s < x.S; s++) {
        const double wanted = want.gradient[x.at(n, c, s)] + (accumulates ? 0.25 : 0);
        const double got = out.get(lies_at(n, c, s)), u = unit_roundoff(out.dtype);
        expect(std::fabs(got - wanted) <=
                   10 * tolerance * largest + u * std::fabs(wanted) + (is_half(out.dtype) ? 0x1p-24 : 0),
               "gradient at " + std::to_string(n) + "," + std::to_string(c) + "," + std::to_string(s) + " is " +
                   std::to_string(got) + ", not " + std::to_string(wanted));
        if (x.w[static_cast<size_t>(n * x.S + s)] == 0)
          expect(got == (accumulates ? 0.25 : 0), "no weight, a gradient");
      }
    }
  }
}

/// Labels that name no class: counted, the smallest index kept, whatever the order of the blocks.
void invalid_labels() {
  test_name = "invalid labels";
  constexpr int64_t kVoxels = 5000;
  Buffer predictions(DType::float32, 2 * 3 * kVoxels), target(DType::int32, 2 * kVoxels), value(DType::float64, 1);
  for (size_t i = 0; i < predictions.count; i++) predictions.set(i, 0.25);
  for (size_t i = 0; i < target.count; i++) target.set(i, static_cast<double>(i % 3));
  target.set(9000, 3), target.set(4321, -7), target.set(4400, 1000);
  for (Activation activation : {Activation::none, Activation::softmax}) {
    LabelFault faults;
    cuda::DeviceCall call;
    call.steps = kStatistics | kFinalize;
    call.in.samples = call.statistics_samples = 2, call.in.classes = 3, call.in.voxels = kVoxels;
    call.in.activation = activation;
    call.in.predictions = predictions.operand(), call.in.target = target.operand();
    call.value = value.doubles();
    call.faults = &faults;
    Buffer workspace(DType::uint8, cuda::workspace_bytes(call));
    expect(cuda::enqueue(call, cuda::Limits{}, workspace.bytes.get(), nullptr) == cudaSuccess, simt::last_fault());
    expect(faults.count == 3, "count is " + std::to_string(faults.count));
    expect(faults.first_index == 4321 && faults.first_value == -7, "first is " + std::to_string(faults.first_index));
  }
}

}  // namespace

// kernels_test [order] [every]: each case takes its order 0, 1 or 2 further than without; only each `every`th is run.
int main(int argc, char** argv) {
  const unsigned further = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const unsigned every = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 1;
  const int64_t shapes[][3] = {{1, 1, 1}, {2, 1, 31}, {1, 3, 33}, {2, 2, 4099}, {1, 19, 257}, {3, 5, 1}, {1, 33, 40}};
  const simt::Order orders[] = {simt::Order::forward, simt::Order::backward, simt::Order::random};
  unsigned number = 0;
  for (DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    for (int target = 0; target < 5; target++) {
      for (Activation activation : {Activation::none, Activation::sigmoid, Activation::softmax}) {
        for (bool channels_last : {false, true}) {
          for (const auto& shape : shapes) {
            number++;
            if (number % every != 0) continue;
            if (activation == Activation::softmax && shape[1] == 1) continue;
            simt::config().order = orders[(number + further) % 3];
            simt::config().seed = number + further;
            test_name = "dtype " + std::to_string(static_cast<int>(dtype)) + ", target " + std::to_string(target) +
                        ", activation " + std::to_string(static_cast<int>(activation)) +
                        (channels_last ? ", channels last" : "") + ", N=" + std::to_string(shape[0]) +
                        " C=" + std::to_string(shape[1]) + " S=" + std::to_string(shape[2]) + " (" +
                        std::to_string(number) + ")";
            run({dtype, static_cast<TargetKind>(target), activation, channels_last, shape[0], shape[1], shape[2],
                 number});
          }
        }
      }
    }
  }
  for (simt::Order order : orders) {
    simt::config().order = order;
    invalid_labels();
  }
  std::printf("%u cases, %d failures\n", number / every, failures);
  return failures == 0 ? 0 : 1;
}
