#include "cuda/kernels/widen_operands.h"

#include "cuda/kernels/shapes.h"
#include "cuda/kernels/voxel.cuh"
#include "math/ignored.h"

namespace warpdice::cuda {
namespace {

/// to[i] = from[i], as float32. A thread converts one pack.
template <class T>
__global__ void __launch_bounds__(kThreads) widen_kernel(const T* from, float* to, int64_t count) {
  constexpr int kPack = kPackOf<T>;
  const int64_t i = (blockIdx.x * int64_t{kThreads} + threadIdx.x) * kPack;
  T raw[kPack];
  float wide[kPack];
  load(from + i, count - i, raw);
  for (int j = 0; j < kPack; j++) wide[j] = static_cast<float>(widen(raw[j]));
  store(to + i, count - i, wide);
}

/// The same for labels, as int32.
template <class T>
__global__ void __launch_bounds__(kThreads) widen_labels_kernel(const T* from, int32_t* to, int64_t count) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i < count) to[i] = from[i];
}

template <class T>
cudaError_t launch_widen_labels(const void* from, void* to, int64_t count, cudaStream_t stream) {
  const int64_t blocks = (count + kThreads - 1) / kThreads;
  if (blocks > kMaxBlocks) return cudaErrorInvalidConfiguration;
  return launch(widen_labels_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream,
                static_cast<const T*>(from), static_cast<int32_t*>(to), count);
}

template <class T>
cudaError_t launch_widen(const void* from, void* to, int64_t count, cudaStream_t stream) {
  constexpr int64_t kPerBlock = int64_t{kThreads} * kPackOf<T>;
  const int64_t blocks = (count + kPerBlock - 1) / kPerBlock;
  if (blocks > kMaxBlocks) return cudaErrorInvalidConfiguration;
  return launch(widen_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream,
                static_cast<const T*>(from), static_cast<float*>(to), count);
}

/// to[i] = from[i], but one label to ignore for all of them. to may be from.
template <class T>
__global__ void __launch_bounds__(kThreads)
    one_ignored_kernel(const T* from, T* to, int64_t count, IgnoredValues<T> ignored) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= count) return;
  const T value = from[i];
  bool is_ignored = false;
#pragma unroll  // an index that varies would put the list into local memory
  for (int k = 1; k < kMaxIgnored; k++) is_ignored |= k < ignored.count && value == ignored.values[k];
  to[i] = is_ignored ? ignored.values[0] : value;
}

/// Makes the target, whose dtype is T, one with at most one label to ignore. It is written to `place` unless it is
/// there already.
template <class T>
cudaError_t launch_one_ignored(Inputs& in, void* place, cudaStream_t stream) {
  const IgnoredValues<T> ignored(in);
  const int64_t count = in.samples * in.voxels, blocks = (count + kThreads - 1) / kThreads;
  if (ignored.count > 0) in.ignore_index = static_cast<int64_t>(ignored.values[0]);
  if (ignored.count < 2) return cudaSuccess;
  if (blocks > kMaxBlocks) return cudaErrorInvalidConfiguration;
  const T* from = static_cast<const T*>(in.target.data);
  in.target.data = place;
  return launch(one_ignored_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, stream, from,
                static_cast<T*>(place), count, ignored);
}

cudaError_t launch_one_ignored(Inputs& in, void* place, cudaStream_t stream) {
  switch (in.target.dtype) {
    case DType::uint8:
      return launch_one_ignored<uint8_t>(in, place, stream);
    case DType::int32:
      return launch_one_ignored<int32_t>(in, place, stream);
    case DType::int64:
      return launch_one_ignored<int64_t>(in, place, stream);
    case DType::float32:
      return launch_one_ignored<float>(in, place, stream);
    case DType::float64:
      return launch_one_ignored<double>(in, place, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

/// Labels that the kernels cannot read.
bool is_short(const Operand& operand) { return operand.dtype == DType::int16 || operand.dtype == DType::uint16; }

/// Whether the kernels can read weights or a dense target of this dtype. own: the dtype of the predictions.
bool is_readable(const Operand& operand, DType own) {
  return !operand.data || operand.dtype == own || operand.dtype == DType::uint8 || operand.dtype == DType::float32;
}

/// Calls visit(operand, elements) for each operand that must be converted.
template <class In, class Visit>
void for_each_to_widen(In& in, Visit visit) {
  const DType own = in.predictions.dtype;
  const int64_t voxels = in.samples * in.voxels;
  if (is_short(in.predictions)) visit(in.predictions, voxels);  // the label maps of a count
  if (in.labels && is_short(in.target)) visit(in.target, voxels);
  const bool halves = in.more_ignored_count > 0 && size_of(in.target.dtype) == 2;  // an index may be none of theirs
  if (!in.labels && (halves || !is_readable(in.target, own))) visit(in.target, voxels * in.classes);
  if (!is_readable(in.weight, own)) visit(in.weight, voxels);
  if (!is_readable(in.class_weight, own)) visit(in.class_weight, voxels * in.classes);
}

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

/// Of what is widened: float32 and int32 have the same size.
size_t bytes_of(int64_t elements) { return aligned(static_cast<size_t>(elements) * sizeof(float)); }

/// Of a copy of the target.
size_t copy_bytes(const Inputs& in) {
  if (in.more_ignored_count == 0) return 0;
  return aligned(static_cast<size_t>(in.samples * in.voxels) * size_of(in.target.dtype));
}

}  // namespace

size_t widened_bytes(const Inputs& in) {
  size_t bytes = copy_bytes(in);
  for_each_to_widen(in, [&](const Operand&, int64_t elements) { bytes += bytes_of(elements); });
  return bytes;
}

cudaError_t widen_operands(Inputs& in, void* workspace, cudaStream_t stream) {
  char* place = static_cast<char*>(workspace) + copy_bytes(in);
  const void* const given = in.target.data;
  cudaError_t status = cudaSuccess;
  for_each_to_widen(in, [&](Operand& operand, int64_t elements) {
    if (status != cudaSuccess) return;
    switch (operand.dtype) {
      case DType::float64:
        status = launch_widen<double>(operand.data, place, elements, stream);
        break;
      case DType::float16:
        status = launch_widen<Float16>(operand.data, place, elements, stream);
        break;
      case DType::bfloat16:
        status = launch_widen<BFloat16>(operand.data, place, elements, stream);
        break;
      case DType::int16:
        status = launch_widen_labels<int16_t>(operand.data, place, elements, stream);
        break;
      case DType::uint16:
        status = launch_widen_labels<uint16_t>(operand.data, place, elements, stream);
        break;
      default:
        status = cudaErrorInvalidValue;
    }
    operand = {place, is_short(operand) ? DType::int32 : DType::float32};
    place += bytes_of(elements);
  });
  if (status != cudaSuccess || in.more_ignored_count == 0 || !in.target.data) return status;
  const bool own = in.target.data == given;
  return launch_one_ignored(in, own ? workspace : const_cast<void*>(in.target.data), stream);
}

}  // namespace warpdice::cuda
