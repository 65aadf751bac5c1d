// How a call with a head is cut up, and the kernels before and after those of head_kernels.cuh.
#include "cuda/kernels/head.h"

#include "cuda/kernels/finish.cuh"
#include "cuda/kernels/head_softmax.cuh"

namespace warpdice::cuda {
namespace {

constexpr const char* kTooManyClasses = "So many classes of a head do not fit the shared memory of every GPU.";

/// Step 1 has at least so many blocks where there are tiles for them; step 3 at most half as many.
constexpr int64_t kEnoughBlocks = 512;
constexpr int64_t kMaxParts = 256, kAlwaysParts = 16;
constexpr int64_t kPartsBytes = int64_t{32} << 20;  // of the weights' gradient, where more than kAlwaysParts

/// The largest tile: with more voxels few classes would leave threads without a part of the products.
constexpr int kMaxTileVoxels = 128;

int64_t divided(int64_t x, int64_t by) { return (x + by - 1) / by; }

/// How often so many parts of a product can be split, each for a thread with at least one band of the terms.
int splits_log2(int parts, int bands) {
  int log2 = 0;
  while (parts << (log2 + 1) <= kThreads && 1 << (log2 + 1) <= bands) log2++;
  return log2;
}

size_t computed_bytes(const Inputs& in) { return in.predictions.dtype == DType::float64 ? 8 : 4; }

void set_blocks(const Inputs& in, size_t element_bytes, HeadShape& shape) {
  const int64_t tiles = shape.tiles_of_sample = divided(in.voxels, shape.tile.voxels);
  const int64_t chunks = divided(kEnoughBlocks, in.samples);
  shape.tile.tiles = static_cast<int>(divided(tiles, chunks < tiles ? chunks : tiles));
  shape.tile.chunks = divided(tiles, shape.tile.tiles);
  const int64_t part = int64_t{shape.padded_classes} * shape.padded_channels * static_cast<int64_t>(element_bytes);
  int64_t parts = kPartsBytes / part;
  parts = parts < kAlwaysParts ? kAlwaysParts : parts > kMaxParts ? kMaxParts : parts;
  shape.blocks = parts < in.samples * tiles ? parts : in.samples * tiles;
}

}  // namespace

HeadShape head_shape_of(const Inputs& in, const Head& head) {
  const size_t element_bytes = computed_bytes(in);
  const int columns = static_cast<int>(16 / element_bytes), rows = 2 * columns;
  HeadShape shape = {};
  const int64_t groups = divided(in.classes, rows);
  int voxels = kMaxTileVoxels;
  while (voxels > rows && groups * (voxels / columns) > kThreads) voxels /= 2;
  if (element_bytes == 8 && groups * (voxels / columns) > kThreads) voxels /= 2;
  shape.refused = kTooManyClasses;
  if (groups * (voxels / columns) > kThreads) return shape;
  shape.plain =
      in.activation == Activation::softmax && in.labels && in.plain() && !in.uniform && !in.focal_alpha.factors;
  shape.channels = static_cast<int>(head.channels);
  shape.padded_classes = static_cast<int>(groups) * rows;
  shape.padded_channels = static_cast<int>(divided(head.channels, rows)) * rows;
  while (1 << shape.voxels_log2 < voxels) shape.voxels_log2++;

  TileShape& tile = shape.tile;
  tile.voxels = voxels;
  tile.class_stride = element_bytes == 8 ? Blocks<double>::band(voxels) : Blocks<float>::band(voxels);
  tile.voxel_stride = 1;
  const int pack = element_bytes == 8 ? kTilePack<double> : kTilePack<float>;
  tile.team = kThreads / (voxels / pack) < kWarp ? kThreads / (voxels / pack) : kWarp;
  tile.interleaved = in.interleaved();
  shape.sharers = in.classes < kThreads ? static_cast<int>(kThreads / in.classes) : 1;
  if (shape.sharers > voxels / pack) shape.sharers = voxels / pack;
  if (shape.plain) shape.sharers = 1;

  const size_t band_bytes = static_cast<size_t>(tile.class_stride) * element_bytes;
  const size_t voxel_bytes = element_bytes == 8 ? sizeof(TileVoxel<double>) : sizeof(TileVoxel<float>);
  const int across = voxels / columns;
  shape.softmax_rows = static_cast<int>(divided(groups * across, across < kWarp ? kWarp : across));
  const size_t of_softmax = shape.plain ? kSoftmaxArrays * shape.softmax_rows * voxels * element_bytes : 0;
  const size_t logits = voxels * voxel_bytes + shape.padded_classes / columns * band_bytes + of_softmax;
  if (logits + 2 * band_bytes > kMaxSharedBytes) return shape;
  const int fit = static_cast<int>((kMaxSharedBytes - logits) / (2 * band_bytes)) * rows;
  const int most = kThreads / across * rows;  // a thread has one part of a product
  const int turns = static_cast<int>(divided(shape.padded_channels, fit < most ? fit : most));
  shape.channels_at_once = static_cast<int>(divided(shape.padded_channels, int64_t{turns} * rows)) * rows;
  const int channel_bands = shape.channels_at_once / columns, class_bands = shape.padded_classes / columns;
  shape.shared_bytes = logits + channel_bands * band_bytes;
  shape.class_splits_log2 = splits_log2(class_bands / 2 * across, channel_bands);
  shape.channel_splits_log2 = splits_log2(channel_bands / 2 * across, class_bands);
  set_blocks(in, element_bytes, shape);
  shape.refused = in.samples * tile.chunks > kMaxBlocks ? kTooManyBlocks : nullptr;
  return shape;
}

namespace {

/// The offsets of HeadMemory.
struct Places {
  size_t by_class, by_channel, bias, weight_parts, bias_parts, end = 0;

  Places(const HeadShape& shape, const Inputs& in, bool with_gradient) {
    const size_t element = computed_bytes(in),
                 weights = static_cast<size_t>(shape.padded_classes) * shape.padded_channels;
    const auto place = [&](size_t bytes) {
      const size_t begin = end;
      end += (bytes + 255) / 256 * 256;
      return begin;
    };
    by_class = place(weights * element);
    bias = place(shape.padded_classes * element);
    by_channel = place(with_gradient ? weights * element : 0);
    weight_parts = place(with_gradient ? shape.blocks * weights * element : 0);
    bias_parts = place(with_gradient ? static_cast<size_t>(shape.blocks * in.classes) * sizeof(double) : 0);
  }
};

/// Element e of groups [terms][kRows] of the rows of a matrix [rows][terms] is the element (row, term).
template <class A>
__device__ void place_in_groups(int64_t e, int terms, int& row, int& term) {
  constexpr int kRows = Product<A>::kRows;
  const int64_t step = e / kRows;
  row = static_cast<int>(step / terms) * kRows + static_cast<int>(e % kRows);
  term = static_cast<int>(step % terms);
}

/// Writes the weights and the bias in the type and the order of the products, with zeros where there is no class or
/// channel.
template <class A>
__global__ void __launch_bounds__(kThreads)
    pack_head_kernel(HeadShape shape, int classes, Head head, HeadMemory<A> to, bool by_channel) {
  const int64_t count = int64_t{shape.padded_classes} * shape.padded_channels;
  const auto weight = [&](int c, int k) {
    const bool exists = c < classes && k < shape.channels;
    return exists ? static_cast<A>(value_at(head.weight, int64_t{c} * shape.channels + k)) : A(0);
  };
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < count; i += step) {
    int row, term;
    place_in_groups<A>(i, shape.padded_channels, row, term);
    to.by_class[i] = weight(row, term);
    if (i < shape.padded_classes) {
      to.bias[i] = head.bias.data && i < classes ? static_cast<A>(value_at(head.bias, i)) : A(0);
    }
    if (!by_channel) continue;
    place_in_groups<A>(i, shape.padded_classes, row, term);
    to.by_channel[i] = weight(term, row);
  }
}

/// Adds up the parts of dL/dweight and dL/dbias in order.
template <class A>
__global__ void __launch_bounds__(kThreads)
    add_head_parts_kernel(HeadShape shape, int classes, HeadMemory<A> from, GradientOut weight, GradientOut bias) {
  const int64_t weights = int64_t{classes} * shape.channels, row = shape.padded_channels;
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = blockIdx.x * int64_t{kThreads} + threadIdx.x; i < weights + classes; i += step) {
    double sum = 0;
    if (i < weights) {
      if (!weight.data) continue;
      const A* part = from.weight_parts + i / shape.channels * row + i % shape.channels;
      for (int64_t b = 0; b < shape.blocks; b++) sum += part[b * shape.padded_classes * row];
      store_element(weight, i, static_cast<A>(sum));
    } else if (bias.data) {
      const int64_t c = i - weights;
      for (int64_t b = 0; b < shape.blocks; b++) sum += from.bias_parts[b * classes + c];
      store_element(bias, c, static_cast<A>(sum));
    }
  }
}

dim3 grid_of(int64_t elements) {
  const int64_t blocks = divided(elements, kThreads);
  return dim3(static_cast<unsigned>(blocks < kEnoughBlocks ? blocks : kEnoughBlocks));
}

}  // namespace

size_t head_bytes(const HeadShape& shape, const Inputs& in, bool with_gradient) {
  return Places(shape, in, with_gradient).end;
}

template <class A>
HeadMemory<A> place_head(const HeadShape& shape, const Inputs& in, char* base) {
  const Places at(shape, in, true);
  const auto part = [&](size_t offset) { return reinterpret_cast<A*>(base + offset); };
  return {part(at.by_class), part(at.by_channel), part(at.bias), part(at.weight_parts),
          reinterpret_cast<double*>(base + at.bias_parts)};
}

template <class A>
cudaError_t launch_pack_head(const HeadShape& shape, const Inputs& in, const Head& head, const HeadMemory<A>& memory,
                             bool by_channel, cudaStream_t stream) {
  const int64_t count = int64_t{shape.padded_classes} * shape.padded_channels;
  return launch(pack_head_kernel<A>, grid_of(count), dim3(kThreads), 0, stream, shape, static_cast<int>(in.classes),
                head, memory, by_channel);
}

template <class A>
cudaError_t launch_add_head_parts(const HeadShape& shape, const Inputs& in, const Head& head,
                                  const HeadMemory<A>& memory, cudaStream_t stream) {
  return launch(add_head_parts_kernel<A>, grid_of(in.classes * (head.channels + 1)), dim3(kThreads), 0, stream, shape,
                static_cast<int>(in.classes), memory, head.weight_grad, head.bias_grad);
}

#define WARPDICE_HEAD_OF(A)                                                                                          \
  template HeadMemory<A> place_head<A>(const HeadShape&, const Inputs&, char*);                                      \
  template cudaError_t launch_pack_head<A>(const HeadShape&, const Inputs&, const Head&, const HeadMemory<A>&, bool, \
                                           cudaStream_t);                                                            \
  template cudaError_t launch_add_head_parts<A>(const HeadShape&, const Inputs&, const Head&, const HeadMemory<A>&,  \
                                                cudaStream_t)
WARPDICE_HEAD_OF(float);
WARPDICE_HEAD_OF(double);

}  // namespace warpdice::cuda
