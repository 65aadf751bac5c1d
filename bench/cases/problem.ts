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

/** [N, C, S], channels first, in sixteenths. */
export function logitsInSixteenths(size: number): Int8Array {
  const random = new Random(1);
  const logits = new Int8Array(size);
  for (let i = 0; i < size; i++) logits[i] = random.integer(256) - 128;
  return logits;
}

/** [N, S]: a class per voxel; with one class a mask. */
export function labelsOf(size: number, C: number): Uint8Array {
  const random = new Random(2);
  const labels = new Uint8Array(size);
  for (let i = 0; i < size; i++) labels[i] = random.integer(Math.max(C, 2));
  return labels;
}

/** As the library makes it: from a cache line on, in huge pages where large. */
const arrayOf = (dtype: Case['dtype'] | 'uint8', size: number) => Tensor.empty([size], dtype).data;

export function makeProblem(
  { activation }: Pick<Group, 'activation'>,
  c: Case,
  shape: readonly number[],
): Problem {
  const [N = 1, C = 1, ...spatial] = shape;
  const S = spatial.reduce((product, length) => product * length, 1);
  const size = N * C * S;
  const last = c.layout === 'channels-last';
  const ownShape = last ? [N, ...spatial, C] : shape;
  const [classStride, voxelStride] = last ? [1, C] : [S, 1];

  const sixteenths = logitsInSixteenths(size);
  const { dtype } = c;
  const encoded = Array.from({ length: 256 }, (_, i) => {
    const x = (i - 128) / 16;
    return isHalf(dtype) ? encodeHalf(x, dtype) : x;
  });
  const logits = arrayOf(c.dtype, size) as Float32Array | Float64Array | Uint16Array;
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < C; k++) {
      const from = (n * C + k) * S;
      const to = n * C * S + k * classStride;
      for (let s = 0; s < S; s++)
        logits[to + s * voxelStride] = encoded[sixteenths[from + s] + 128];
    }
  }

  let target: Tensor;
  const labels = labelsOf(N * S, C);
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
