// The tensors of a case. Logits are multiples of 1/16 from -8 to 8 less 1/16: every dtype holds them exactly, so that all
// cases of a group have one answer. Labels are random from voxel to voxel, the worst case for anything that branches on them.
import { type Loss, Tensor, type TensorLike } from 'warpdice';
import { encodeHalf } from '../../test/support/half.js';
import { Random } from '../../test/support/random.js';
import { type Case, type Group, isHalf } from './cases.js';
import { losses } from './losses.js';

export interface Problem {
  readonly case: Case;
  readonly N: number;
  readonly C: number;
  readonly S: number;
  readonly loss: Loss;
  readonly logits: Tensor;
  readonly target: Tensor;
  /** The caller's buffers. */
  readonly out: { readonly value: Tensor; readonly perClass: Tensor; readonly grad: Tensor };
}

export function sizesOf(shape: readonly number[]) {
  const [N = 1, C = 1, ...spatial] = shape;
  return { N, C, S: spatial.reduce((product, length) => product * length, 1) };
}

const mostOfTile = 2 ** 14; // too long for a processor to learn its labels

/**
 * The voxels that every sample repeats, so that the answer of one tile is that of all: sample n begins with voxel n of it. Logits
 * [C, size] in sixteenths; labels [size], a class or with one class a mask.
 */
export function tileOf(C: number, S: number) {
  let size = S;
  if (S > mostOfTile) for (size = mostOfTile; S % size !== 0; ) size /= 2;
  const random = new Random(1);
  const sixteenths = new Int8Array(C * size).map(() => random.integer(256) - 128);
  const labels = new Uint8Array(size).map(() => random.integer(Math.min(Math.max(C, 2), 256)));
  return { size, sixteenths, labels };
}

/** As the library makes it: from a cache line on, in huge pages where large. */
const arrayOf = (dtype: Case['dtype'] | 'uint8', size: number) => Tensor.empty([size], dtype).data;

export function makeProblem(
  { activation }: Pick<Group, 'activation'>,
  c: Case,
  shape: readonly number[],
): Problem {
  const { N, C, S } = sizesOf(shape);
  const spatial = shape.slice(2);
  const size = N * C * S;
  const last = c.layout === 'channels-last';
  const ownShape = last ? [N, ...spatial, C] : shape;
  const [classStride, voxelStride] = last ? [1, C] : [S, 1];

  const tile = tileOf(C, S);
  const { dtype } = c;
  const encoded = Array.from({ length: 256 }, (_, i) => {
    const x = (i - 128) / 16;
    return isHalf(dtype) ? encodeHalf(x, dtype) : x;
  });
  const logits = arrayOf(c.dtype, size) as Float32Array | Float64Array | Uint16Array;
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < C; k++) {
      const from = k * tile.size;
      const to = n * C * S + k * classStride;
      for (let s = 0; s < S; s++) {
        const sixteenths = tile.sixteenths[from + ((s + n) % tile.size)];
        logits[to + s * voxelStride] = encoded[sixteenths + 128];
      }
    }
  }

  let target: Tensor;
  const labels = arrayOf('uint8', N * S) as Uint8Array;
  for (let i = 0; i < N * S; i++)
    labels[i] = tile.labels[((i % S) + Math.floor(i / S)) % tile.size];
  if (c.target === 'labels') {
    target = Tensor.from(labels, [N, ...spatial]);
  } else {
    const dense = arrayOf(c.target, size) as Float32Array | Uint8Array;
    for (let n = 0; n < N; n++) {
      for (let s = 0; s < S; s++) {
        const label = labels[n * S + s];
        if (C === 1) dense[n * S + s] = label;
        else dense[n * C * S + label * classStride + s * voxelStride] = 1;
      }
    }
    target = Tensor.from(dense, ownShape);
  }

  const predictions = Tensor.from(logits, ownShape, { dtype: c.dtype });
  return {
    case: c,
    N,
    C,
    S,
    loss: losses[c.loss].make({ activation, layout: c.layout }),
    logits: predictions,
    target,
    out: {
      value: Tensor.from(new Float64Array(1), []),
      perClass: Tensor.from(new Float64Array(N * C), [N, C]),
      // Filled, so that its pages exist: the first write to a page costs more than the call.
      grad: Tensor.from(arrayOf(c.dtype, size).fill(1 as never), ownShape, {
        dtype: c.dtype,
      }),
    },
  };
}

/** So that results of an earlier run cannot pass as those of this one. */
export function wipe({ value, perClass, grad }: Problem['out']): void {
  for (const { data } of [value, perClass, grad]) bytesOf(data).fill(0xff);
}

export function bytesOf(data: Extract<TensorLike, { data: unknown }>['data']): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
