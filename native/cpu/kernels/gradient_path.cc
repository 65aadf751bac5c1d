#include "cpu/kernels/gradient_path.h"

namespace warpdice::cpu {
namespace {

constexpr int64_t kLineBytes = 64;

/// Whether the rows of all classes begin at the same place of a line.
bool rows_begin_alike(const Inputs& in, const GradientOut& out) {
  const int64_t row_bytes = in.voxels * static_cast<int64_t>(size_of(out.dtype));
  return in.samples * in.classes == 1 || row_bytes % kLineBytes == 0;
}

/// Voxels of the run before the first that begins a line; -1 where none does.
int64_t streaming_head(const Inputs& in, const Run& run, const GradientOut& out) {
  const int64_t element_bytes = static_cast<int64_t>(size_of(out.dtype));
  const int64_t at = static_cast<int64_t>(reinterpret_cast<uintptr_t>(out.data)) +
                     (run.n * in.classes * in.voxels + run.begin) * element_bytes;
  if (at % element_bytes != 0) return -1;
  return (kLineBytes - at % kLineBytes) % kLineBytes / element_bytes;
}

}  // namespace

bool is_direct(const Inputs& in, DType dtype) {
  const DType computed = in.predictions.dtype == DType::float64 ? DType::float64 : DType::float32;
  return dtype == computed && !in.interleaved();
}

bool reads_halves(const Inputs& in, bool widens_quickly) {
  const bool halves = in.predictions.dtype == DType::float16 || in.predictions.dtype == DType::bfloat16;
  return widens_quickly && halves && in.plain() && in.labels && !in.weighted() && !in.interleaved();
}

Read choose_read(const Inputs& in, bool keeps, bool widens_quickly) {
  if (!keeps && reads_halves(in, widens_quickly)) return Read::halves;
  return is_direct(in, in.predictions.dtype) ? Read::direct : Read::staged;
}

GradientPath choose_path(const Inputs& in, const Run& run, const GradientOut& out, bool kept, bool widens_quickly) {
  const bool same_dtype = out.dtype == in.predictions.dtype && !out.accumulate;
  const bool halves = same_dtype && reads_halves(in, widens_quickly);
  const bool direct = is_direct(in, out.dtype) && !out.accumulate;

  // No streaming where the gradient is added to the old one, or replaces the predictions or the kept probabilities.
  const bool may_stream = out.streaming && !kept && !out.accumulate && out.data != in.predictions.data;
  const bool alike = !in.interleaved() && rows_begin_alike(in, out);
  int64_t head = may_stream && alike ? streaming_head(in, run, out) : -1;
  // Softmax decides for each step whether it takes a maximum, so the first voxel of a step must not depend on
  // addresses.
  if (halves && in.activation == Activation::softmax && head > 0) head = -1;
  // Rows that do not begin with a cache line are staged; each is streamed from its first whole line on.
  const bool row_by_row = may_stream && !alike && (in.interleaved() || is_direct(in, out.dtype));

  GradientPath path = {Read::staged, Write::staged, head > 0 ? head : 0};
  if (kept) path.read = Read::kept;
  else if (halves) path.read = Read::halves;
  else if (is_direct(in, in.predictions.dtype)) path.read = Read::direct;
  if (!row_by_row && (halves || direct)) path.write = head >= 0 ? Write::streamed : Write::direct;
  else if (row_by_row || head >= 0) path.write = Write::staged_streamed;
  return path;
}

}  // namespace warpdice::cpu
