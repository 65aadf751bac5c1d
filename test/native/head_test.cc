// The products of a head on every SIMD target, and its calls against those of the logits in memory.
#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu/engine.h"
#include "cpu/head/predict.h"
#include "cpu/head/run.h"
#include "cpu/head/tile.h"
#include "cpu/head/tiles.h"
#include "cpu/memory/workspace.h"
#include "cpu/run.h"

namespace warpdice::test {
namespace {

template <class T>
std::vector<T> random_numbers(size_t count, uint32_t seed) {
  Random random{seed};
  std::vector<T> numbers(count);
  for (T& x : numbers) x = static_cast<T>(2 * random.next() - 1);
  return numbers;
}

template <class T>
void test_product(int64_t rows, int64_t inner, int64_t columns, double most) {
  const int64_t padded = (columns + 15) / 16 * 16;
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const std::vector<T> a = random_numbers<T>(size(rows, inner), 1), b = random_numbers<T>(size(inner, padded), 2);
  const std::vector<T> start = random_numbers<T>(size(rows, 1), 3);
  for (const bool adds : {false, true}) {
    std::vector<T> to(size(rows, padded), T{2});
    cpu::Product<T> product = {};
    product.rows = rows, product.inner = inner, product.columns = columns;
    product.a = a.data(), product.a_row = inner, product.a_inner = 1;
    product.b = b.data(), product.b_inner = padded;
    product.to = to.data(), product.to_row = padded;
    product.start = adds ? nullptr : start.data();
    product.adds = adds;
    cpu::head::products<T>().multiply(product);
    double off = 0;
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = 0; c < columns; c++) {
        double wanted = adds ? 2 : static_cast<double>(start[static_cast<size_t>(r)]);
        for (int64_t i = 0; i < inner; i++) {
          wanted += static_cast<double>(a[static_cast<size_t>(r * inner + i)]) *
                    static_cast<double>(b[static_cast<size_t>(i * padded + c)]);
        }
        off = std::max(off, std::fabs(wanted - static_cast<double>(to[static_cast<size_t>(r * padded + c)])));
      }
    }
    expect_close("product", off, 0, most);
  }
}

/// An array that begins with a cache line.
template <class T>
struct Aligned {
  std::vector<T> memory;
  T* data;
  Aligned(size_t count, T value) : memory(count + 64 / sizeof(T), value) {
    const auto to_line = (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64;
    data = memory.data() + to_line / sizeof(T);
  }
};

/// The same numbers from rows that are copied on the way, and to rows that are written around the caches.
template <class T>
void test_copies_and_streams(int64_t rows, int64_t inner, int64_t columns) {
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const std::vector<T> a = random_numbers<T>(size(rows, inner), 1), b = random_numbers<T>(size(inner, columns), 2);
  Aligned<T> to(size(rows, columns), T{2}), other(size(rows, columns), T{2});
  std::vector<T> copy(size(inner, columns + 16));
  cpu::Product<T> product = {};
  product.rows = rows, product.inner = inner, product.columns = columns;
  product.a = a.data(), product.a_row = inner, product.a_inner = 1;
  product.b = b.data(), product.b_inner = columns;
  product.to = to.data, product.to_row = columns;
  cpu::head::products<T>().multiply(product);
  const auto same_numbers = [&] {
    cpu::head::products<T>().fence();
    expect_close("the same product", std::equal(to.data, to.data + size(rows, columns), other.data), 1, 0);
  };
  product.to = other.data, product.streams = true;
  cpu::head::products<T>().multiply(product);
  same_numbers();
  std::fill(other.data, other.data + size(rows, columns), T{3});
  product.streams = false;
  product.copy = copy.data(), product.copy_row = columns + 16;
  cpu::head::products<T>().multiply(product);
  same_numbers();
  bool copied = true;
  for (int64_t i = 0; i < inner; i++) {
    copied = copied && std::equal(&b[size(i, columns)], &b[size(i, columns)] + columns, &copy[size(i, columns + 16)]);
  }
  expect_close("the copy", copied, 1, 0);
}

/// Rows of few terms, written around the caches to any address, by products of `piece` columns each: the same numbers,
/// and nothing beyond them.
template <class T>
void test_unaligned_streams(int64_t rows, int64_t inner, int64_t columns, int64_t shift, bool adds, int64_t piece) {
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  const int64_t padded = (columns + 15) / 16 * 16, to_row = columns + 3;
  const std::vector<T> a = random_numbers<T>(size(rows, inner), 1), b = random_numbers<T>(size(inner, padded + 16), 2);
  const std::vector<T> start = random_numbers<T>(size(rows, 1), 3);
  std::vector<T> wanted(size(rows, padded), T{2});
  const size_t written = size(rows, to_row) + static_cast<size_t>(shift);
  Aligned<T> to(written, T{2});
  cpu::Product<T> product = {};
  product.rows = rows, product.inner = inner, product.columns = columns;
  product.a = a.data(), product.a_row = inner, product.a_inner = 1;
  product.b = b.data(), product.b_inner = padded + 16;
  product.start = adds ? nullptr : start.data(), product.adds = adds;
  product.to = wanted.data(), product.to_row = padded;
  cpu::head::products<T>().multiply(product);
  product.to = to.data + shift, product.to_row = to_row, product.streams = true;
  // What waits is NaN before it is written.
  std::vector<T> waiting(size(rows, 64 / sizeof(T)), std::numeric_limits<T>::quiet_NaN());
  if (piece < columns) product.waiting = waiting.data();
  for (int64_t at = 0; at < columns; at += piece, product.b += piece, product.to += piece) {
    product.columns = std::min(piece, columns - at);
    product.begins = at == 0, product.ends = at + piece >= columns;
    cpu::head::products<T>().multiply(product);
  }
  cpu::head::products<T>().fence();
  bool same = true;
  for (int64_t i = 0; i < static_cast<int64_t>(written); i++) {
    const int64_t r = (i - shift) / to_row, c = (i - shift) % to_row;
    const bool inside = i >= shift && c < columns;
    same = same && to.data[i] == (inside ? wanted[size(r, padded) + static_cast<size_t>(c)] : T{2});
  }
  expect_close("rows at any address", same, 1, 0);
}

/// NaN lies beyond the rows' ends.
template <class T>
void test_row_product(int64_t rows, int64_t inner, int64_t columns, double most) {
  const int64_t padded = (inner + 15) / 16 * 16;
  const auto size = [](int64_t a, int64_t b) { return static_cast<size_t>(a * b); };
  std::vector<T> a = random_numbers<T>(size(rows, padded), 1), b = random_numbers<T>(size(columns, padded), 2);
  for (int64_t i = inner; i < padded; i++) {
    for (int64_t r = 0; r < rows; r++)
      a[size(r, padded) + static_cast<size_t>(i)] = std::numeric_limits<T>::quiet_NaN();
    for (int64_t c = 0; c < columns; c++)
      b[size(c, padded) + static_cast<size_t>(i)] = std::numeric_limits<T>::quiet_NaN();
  }
  std::vector<T> to(size(rows, columns + 3), T{2});
  cpu::head::products<T>().multiply_rows(
      {rows, inner, columns, a.data(), padded, b.data(), padded, to.data(), columns + 3});
  double off = 0;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns + 3; c++) {
      double wanted = 2;
      for (int64_t i = 0; c < columns && i < inner; i++) {
        wanted += static_cast<double>(a[static_cast<size_t>(r * padded + i)]) *
                  static_cast<double>(b[static_cast<size_t>(c * padded + i)]);
      }
      const double difference = std::fabs(wanted - static_cast<double>(to[static_cast<size_t>(r * (columns + 3) + c)]));
      if (!(difference <= off)) off = difference;
    }
  }
  expect_close("product of rows", off, 0, most);
}

/// How far an array is off, as a share of the largest number.
double share_off(const Buffer& got, const std::vector<double>& wanted) {
  double most = 0, largest = 0;
  for (size_t i = 0; i < wanted.size(); i++) {
    const double off = std::fabs(got.get(static_cast<int64_t>(i)) - wanted[i]);
    if (!(off <= most)) most = off;
    largest = std::max(largest, std::fabs(wanted[i]));
  }
  return most / largest;
}

/// dL/dlogits of logits in memory, carried back to the features and the weights, against a call with a head; and the
/// classes of the largest logits.
void test_call(int64_t N, int64_t K, int64_t C, int64_t S, DType dtype, bool last) {
  const bool in_double = dtype == DType::float64;
  const DType computed = in_double ? DType::float64 : DType::float32;
  const double share = in_double ? 1e-12 : 2e-5;
  Random random{1};
  const auto filled = [&](DType type, int64_t count) {
    Buffer buffer(type, count);
    for (int64_t i = 0; i < count; i++) buffer.set(i, 2 * random.next() - 1);
    return buffer;
  };
  const Buffer x = filled(dtype, N * K * S), w = filled(computed, C * K), b = filled(computed, C);
  std::vector<uint8_t> labels(static_cast<size_t>(N * S));
  for (size_t i = 0; i < labels.size(); i++) labels[i] = static_cast<uint8_t>(i * 7 % static_cast<size_t>(C));
  const auto zeros = [](int64_t count) { return std::vector<double>(static_cast<size_t>(count)); };
  std::vector<double> z = zeros(N * C * S), dz = z, dx = zeros(N * K * S), dw = zeros(C * K), db = zeros(C);
  const auto for_each = [&](auto visit) {
    for (int64_t n = 0; n < N; n++) {
      for (int64_t c = 0; c < C; c++) {
        for (int64_t s = 0; s < S; s++) visit(n, c, s, static_cast<size_t>((n * C + c) * S + s));
      }
    }
  };
  const auto at_x = [&](int64_t n, int64_t k, int64_t s) { return last ? (n * S + s) * K + k : (n * K + k) * S + s; };
  for_each([&](int64_t n, int64_t c, int64_t s, size_t at) {
    z[at] = b.get(c);
    for (int64_t k = 0; k < K; k++) z[at] += w.get(c * K + k) * x.get(at_x(n, k, s));
  });

  Call call;
  call.steps = kStatistics | kFinalize | kGradient;
  call.in.samples = N, call.in.classes = C, call.in.voxels = S;
  call.in.activation = Activation::softmax;
  call.in.predictions = {z.data(), DType::float64};
  call.in.target = {labels.data(), DType::uint8};
  double value = 0, head_value = 0;
  call.value = &value;
  call.grad = {dz.data(), DType::float64, false, false};
  make_consistent(call.in, call.options);
  expect_close("faults", static_cast<double>(cpu::run(call).count), 0, 0);
  for_each([&](int64_t n, int64_t c, int64_t s, size_t at) {
    db[static_cast<size_t>(c)] += dz[at];
    for (int64_t k = 0; k < K; k++) {
      dx[static_cast<size_t>(at_x(n, k, s))] += dz[at] * w.get(c * K + k);
      dw[static_cast<size_t>(c * K + k)] += dz[at] * x.get(at_x(n, k, s));
    }
  });

  Buffer gx(computed, N * K * S), gw(computed, C * K), gb(computed, C), first = gw;
  call.in.predictions = x.operand();
  call.in.channels_last = last;
  call.value = &head_value;
  call.grad = {gx.bytes.data(), computed, false, false};
  call.head.channels = K;
  call.head.weight = w.operand();
  call.head.bias = b.operand();
  call.head.weight_grad = {gw.bytes.data(), computed, false, false};
  call.head.bias_grad = {gb.bytes.data(), computed, false, false};
  const int threads = cpu::threads();
  for (const int count : {1, 3}) {
    cpu::set_threads(count);
    expect_close("faults", static_cast<double>(cpu::head::run(call).count), 0, 0);
    expect_close("value", head_value, value, share);
    expect_close("features", share_off(gx, dx), 0, share);
    expect_close("weight", share_off(gw, dw), 0, share);
    expect_close("bias", share_off(gb, db), 0, share);
    if (count == 1) first = gw;
    expect_close("threads", first.bytes == gw.bytes, 1, 0);
  }
  cpu::set_threads(threads);

  if (C > 256) return;  // classes are bytes here
  std::vector<uint8_t> classes(labels.size());
  Prediction prediction;
  prediction.call = call;
  prediction.out = classes.data();
  cpu::head::predict(prediction);
  std::vector<double> largest(labels.size(), -INFINITY);
  for_each([&](int64_t n, int64_t, int64_t s, size_t at) {
    double& of_voxel = largest[static_cast<size_t>(n * S + s)];
    of_voxel = std::max(of_voxel, z[at]);
  });
  double off = 0;
  for (size_t i = 0; i < classes.size(); i++) {
    const auto n = static_cast<int64_t>(i) / S, s = static_cast<int64_t>(i) % S;
    off = std::max(off, largest[i] - z[static_cast<size_t>((n * C + classes[i]) * S + s)]);
  }
  expect_close("the largest logits", off, 0, share * 10);
}

/// A call with every gradient, of arrays that only a test of memory needs.
struct MemoryCase {
  int64_t C, K, S;
  DType dtype;
  bool rare;  // all options that take memory
  std::vector<char> x, w, dense, gx, gw, gb, gt;
  std::vector<uint8_t> labels;
  std::vector<double> value;
  Call call;

  MemoryCase(int64_t classes, int64_t channels, int64_t voxels, DType type, bool all)
      : C(classes), K(channels), S(voxels), dtype(type), rare(all) {
    const auto bytes = [&](int64_t count, DType of) { return static_cast<size_t>(count) * size_of(of); };
    x.resize(bytes(K * S, dtype)), gx.resize(x.size());
    w.resize(bytes(C * K, dtype)), gw.resize(w.size());
    gb.resize(bytes(C, dtype));
    dense.resize(rare ? bytes(C * S, DType::float64) : 0), gt.resize(dense.size());
    labels.resize(static_cast<size_t>(S)), value.resize(static_cast<size_t>(C));
    call.steps = kStatistics | kFinalize | kGradient;
    call.in.classes = C, call.in.voxels = S, call.in.samples = 1;
    call.in.channels_last = rare;
    call.in.activation = Activation::softmax;
    call.in.predictions = {x.data(), dtype};
    call.in.target = {labels.data(), DType::uint8};
    if (rare) {
      call.steps |= kTargetGradient;
      call.options.focal_factor = call.options.cross_entropy_factor = 1;
      call.in.labels = false;
      call.in.target = {dense.data(), DType::float64};
      call.in.class_weight = {dense.data(), DType::float64};
      call.target_grad = {gt.data(), DType::float64, false, false};
    }
    make_consistent(call.in, call.options);
    call.value = value.data();
    call.grad = {gx.data(), dtype, false, false};
    call.head.channels = K;
    call.head.weight = {w.data(), dtype};
    call.head.weight_grad = {gw.data(), dtype, false, false};
    call.head.bias_grad = {gb.data(), dtype, false, false};
  }
};

/// Beside 16 copies of the weight's and bias' gradients, and the sums and coefficients of each sample and class.
constexpr int64_t kBytesOfThread = 2'000'000;

/// What a call holds on a new thread, which does all of it.
void test_memory(int64_t C, int64_t K, int64_t S, DType dtype, bool rare) {
  const MemoryCase of(C, K, S, dtype, rare);
  const bool converts = dtype == DType::float16 || dtype == DType::bfloat16;
  const int64_t element_bytes = dtype == DType::float64 ? 8 : 4;
  const cpu::Partition partition = cpu::head::partition_of(of.call.in);
  const int64_t copies = std::min<int64_t>(partition.runs + (converts ? 1 : 0), 16);
  const int64_t parts = copies - (converts ? 1 : 0);
  const int64_t beside = copies * C * cpu::head::padded_channels(K) * element_bytes +
                         parts * C * static_cast<int64_t>(sizeof(double)) +
                         C * static_cast<int64_t>(sizeof(Sums) + sizeof(Coefficients));
  const int threads = cpu::threads();
  cpu::set_threads(1);
  std::thread([&] {
    const size_t before = cpu::Workspace::held_bytes();
    expect_close("faults", static_cast<double>(cpu::head::run(of.call).count), 0, 0);
    const auto held = static_cast<int64_t>(cpu::Workspace::held_bytes() - before) - beside;
    const int64_t tile =
        static_cast<int64_t>(cpu::head::tile_size(of.call, cpu::head::tile_kernels(of.call).vector_bytes).bytes());
    expect_close("a thread holds more than a tile", held < tile - 64, 0, 0);
    expect_close("and the sums of some runs", static_cast<double>(std::max<int64_t>(held - tile - 220'000, 0)), 0, 0);
    expect_close("memory of a thread", static_cast<double>(std::max<int64_t>(held - kBytesOfThread, 0)), 0, 0);
  }).join();
  cpu::set_threads(threads);
}

/// With the shortest vectors a tile of every call fits; with longer ones too, where a tile can have fewer voxels.
void test_tile_sizes() {
  for (const int64_t C : {1, 2, 19, 117, 500, 1000}) {
    for (const int64_t K : {1, 32, 64, 500, 1024}) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
        for (const bool rare : {false, true}) {
          const MemoryCase of(C, K, 1, dtype, rare);
          for (const int vector_bytes : {16, 32, 64}) {
            const cpu::head::TileSize size = cpu::head::tile_size(of.call, vector_bytes);
            const int64_t step = 8 * vector_bytes / (dtype == DType::float64 ? 8 : 4);
            expect_close("whole steps", static_cast<double>(size.voxels % step), 0, 0);
            const bool may_be_larger = vector_bytes > 16 && size.voxels == step;
            expect_close("fits", size.bytes() <= cpu::head::kMaxTileBytes || may_be_larger, 1, 0);
          }
          const cpu::head::TileSize size = cpu::head::tile_size(of.call, 16);
          const bool few = C <= cpu::head::kFewClasses;
          expect_close("few classes transpose nothing", size.target == size.transposed, few, 0);
          const int chosen = cpu::head::tile_kernels(of.call).vector_bytes;
          expect_close("chosen", cpu::head::tile_size(of.call, chosen).bytes() <= cpu::head::kMaxTileBytes, 1, 0);
        }
      }
    }
  }
}

}  // namespace

void test_head() {
  test_tile_sizes();
  for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
    for (const bool rare : {false, true}) test_memory(1000, 1024, 20, dtype, rare);
    test_memory(1000, 16, 2100, dtype, false);  // 17 runs
  }
  for (const int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13}) {
    for (const int64_t columns : {1, 15, 16, 17, 33, 48, 63, 64, 130}) {
      test_product<float>(rows, 31, columns, 1e-5);
      test_product<double>(rows, 31, columns, 1e-13);
    }
    for (const int64_t columns : {16, 48, 64, 80, 256, 272}) {
      for (const int64_t inner : {1, 8, 9, 33}) {
        test_copies_and_streams<float>(rows, inner, columns);
        test_copies_and_streams<double>(rows, inner, columns);
      }
    }
    for (const int64_t columns : {1, 7, 16, 33, 130, 300}) {
      for (const int64_t shift : {0, 1, 5, 15}) {
        for (const int64_t piece : {columns, int64_t{16}, int64_t{67}}) {
          test_unaligned_streams<float>(rows, 8, columns, shift, false, piece);
          test_unaligned_streams<double>(rows, 3, columns, shift, true, piece);
        }
      }
    }
    for (const int64_t columns : {1, 2, 3, 8, 9, 33}) {
      for (const int64_t inner : {1, 15, 16, 17, 100}) {
        test_row_product<float>(rows, inner, columns, 1e-5);
        test_row_product<double>(rows, inner, columns, 1e-13);
      }
    }
  }
  test_call(1, 3, 2, 1, DType::float64, false);
  test_call(2, 33, 19, 1031, DType::float64, false);
  for (const int64_t C : {2, 3, 6, 7, 24, 25}) test_call(2, 33, C, 1331, DType::float32, false);
  test_call(3, 5, 117, 700, DType::float64, true);
  test_call(1, 40, 1000, 150, DType::float32, false);  // with AVX-512 on shorter vectors
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    for (const bool last : {false, true}) test_call(2, 17, 19, 331, dtype, last);
  }
}

}  // namespace warpdice::test
