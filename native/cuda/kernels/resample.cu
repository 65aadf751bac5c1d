#include "cuda/kernels/resample.h"

#include "cuda/kernels/device_api.h"
#include "cuda/kernels/shapes.h"

namespace warpdice::cuda {
namespace {

constexpr int kMaxAxes = 6;

/// to[outer][..to_sizes..][inner] = from[outer][nearest_index(i, from_size, to_size)..][inner]
struct ResampleWork {
  int64_t count;  // elements of `to`
  int64_t inner;
  int64_t from_sizes[kMaxAxes], to_sizes[kMaxAxes];  // missing axes come first and have size 1
};

/// A thread copies one element.
template <class T>
__global__ void __launch_bounds__(kThreads) resample_kernel(ResampleWork work, const T* from, T* to) {
  const int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (i >= work.count) return;
  int64_t left = i / work.inner, source = 0, stride = 1;
#pragma unroll  // else the compiler would copy the sizes to local memory
  for (int axis = kMaxAxes - 1; axis >= 0; axis--) {
    const int64_t place = left % work.to_sizes[axis];
    left /= work.to_sizes[axis];
    source += nearest_index(place, work.from_sizes[axis], work.to_sizes[axis]) * stride;
    stride *= work.from_sizes[axis];
  }
  to[i] = from[(left * stride + source) * work.inner + i % work.inner];
}

int64_t blocks_of(int64_t count) { return (count + kThreads - 1) / kThreads; }

ResampleWork work_of(const Resampling& shape) {
  ResampleWork work = {};
  work.inner = shape.inner;
  work.count = shape.outer * shape.inner;
  for (const int64_t size : shape.to_sizes) work.count *= size;
  const int axes = static_cast<int>(shape.to_sizes.size()), missing = kMaxAxes - axes;
  for (int axis = 0; axis < kMaxAxes; axis++) {
    const auto given = static_cast<size_t>(axis - missing);
    work.from_sizes[axis] = axis < missing ? 1 : shape.from_sizes[given];
    work.to_sizes[axis] = axis < missing ? 1 : shape.to_sizes[given];
  }
  return work;
}

template <class T>
cudaError_t launch_resample(const ResampleWork& work, const void* from, void* to, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>(blocks_of(work.count)));
  return launch(resample_kernel<T>, grid, dim3(kThreads), 0, stream, work, static_cast<const T*>(from),
                static_cast<T*>(to));
}

}  // namespace

const char* unsupported(const Resampling& shape) {
  if (shape.to_sizes.size() > kMaxAxes) return "More than 6 spatial axes are not resampled on CUDA.";
  if (blocks_of(work_of(shape).count) > kMaxBlocks) return "So many voxels do not fit a CUDA grid.";
  return nullptr;
}

cudaError_t enqueue_resample(const Resampling& shape, const void* from, void* to, cudaStream_t stream) {
  if (unsupported(shape)) return cudaErrorNotSupported;
  const ResampleWork work = work_of(shape);
  switch (shape.element_bytes) {
    case 1:
      return launch_resample<uint8_t>(work, from, to, stream);
    case 2:
      return launch_resample<uint16_t>(work, from, to, stream);
    case 4:
      return launch_resample<uint32_t>(work, from, to, stream);
    case 8:
      return launch_resample<uint64_t>(work, from, to, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

}  // namespace warpdice::cuda
