// The products of a head on every SIMD target, and its calls against those of the logits in memory.
#include <algorithm>
#include <cmath>
#include <vector>

#include "check.h"
#include "cpu/engine.h"
#include "cpu/head/run.h"
#include "cpu/head/tile.h"
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

/// The largest difference.
template <class A, class B>
double difference(const std::vector<A>& a, const std::vector<B>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < a.size() && i < b.size(); i++) {
    const double off = std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(off <= most)) most = off;
  }
  return most;
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

/// dL/dlogits of logits in memory, carried back to the features and the weights, against a call with a head.
void test_call(int64_t N, int64_t K, int64_t C, int64_t S) {
  const auto size = [](int64_t a, int64_t b, int64_t c) { return static_cast<size_t>(a * b * c); };
  const std::vector<double> x = random_numbers<double>(size(N, K, S), 1), w = random_numbers<double>(size(C, K, 1), 2);
  const std::vector<double> b = random_numbers<double>(size(C, 1, 1), 3);
  std::vector<uint8_t> labels(size(N, S, 1));
  for (size_t i = 0; i < labels.size(); i++) labels[i] = static_cast<uint8_t>(i * 7 % static_cast<size_t>(C));
  std::vector<double> z(size(N, C, S)), dz(z.size()), dx(x.size()), dw(w.size()), db(b.size());
  const auto for_each = [&](auto visit) {
    for (int64_t n = 0; n < N; n++) {
      for (int64_t c = 0; c < C; c++) {
        for (int64_t s = 0; s < S; s++) visit(n, c, s, static_cast<size_t>((n * C + c) * S + s));
      }
    }
  };
  const auto at_x = [&](int64_t n, int64_t k, int64_t s) { return static_cast<size_t>((n * K + k) * S + s); };
  for_each([&](int64_t n, int64_t c, int64_t s, size_t at) {
    z[at] = b[static_cast<size_t>(c)];
    for (int64_t k = 0; k < K; k++) z[at] += w[static_cast<size_t>(c * K + k)] * x[at_x(n, k, s)];
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
      dx[at_x(n, k, s)] += dz[at] * w[static_cast<size_t>(c * K + k)];
      dw[static_cast<size_t>(c * K + k)] += dz[at] * x[at_x(n, k, s)];
    }
  });

  std::vector<double> gx(x.size()), gw(w.size()), gb(b.size()), first;
  call.in.predictions = {x.data(), DType::float64};
  call.value = &head_value;
  call.grad.data = gx.data();
  call.head.channels = K;
  call.head.weight = {w.data(), DType::float64};
  call.head.bias = {b.data(), DType::float64};
  call.head.weight_grad = {gw.data(), DType::float64, false, false};
  call.head.bias_grad = {gb.data(), DType::float64, false, false};
  const int threads = cpu::threads();
  for (const int count : {1, 3}) {
    cpu::set_threads(count);
    expect_close("faults", static_cast<double>(cpu::head::run(call).count), 0, 0);
    expect_close("value", head_value, value, 1e-13);
    expect_close("features", difference(gx, dx), 0, 1e-14);
    expect_close("weight", difference(gw, dw), 0, 1e-12);
    expect_close("bias", difference(gb, db), 0, 1e-12);
    if (first.empty()) first = gw;
    expect_close("threads", difference(first, gw), 0, 0);
  }
  cpu::set_threads(threads);
}

}  // namespace

void test_head() {
  for (const int64_t rows : {1, 2, 3, 5, 6, 7, 12, 13}) {
    for (const int64_t columns : {1, 15, 16, 17, 33, 48, 63, 64, 130}) {
      test_product<float>(rows, 31, columns, 1e-5);
      test_product<double>(rows, 31, columns, 1e-13);
    }
  }
  test_call(1, 3, 2, 1);
  test_call(2, 33, 19, 1031);
  test_call(3, 5, 117, 700);
}

}  // namespace warpdice::test
