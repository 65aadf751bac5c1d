// The names of a call's arguments in messages, and the advice there. warpdice/tfjs has its own, for its own tensors.
import { showShape } from '../common/check.js';
import { labelList } from '../tensors/dtype.js';

/** The names of a call's results in messages. */
interface OutNames {
  readonly all: string;
  readonly value: string;
  readonly perClass: string;
  readonly parts: string;
  readonly grad: string;
  readonly targetGrad: string;
}

export const outNames = (all: string): OutNames => ({
  all,
  value: `${all}.value`,
  perClass: `${all}.perClass`,
  parts: `${all}.parts`,
  grad: `${all}.grad`,
  targetGrad: `${all}.targetGrad`,
});

export interface Names {
  readonly predictions: string;
  readonly target: string;
  readonly out: OutNames;
  /** Advice: how to drop the axis `axis` of the target. shape: the shape without it. */
  dropAxis(axis: number, shape: readonly number[]): string;
  /** Advice: how to convert class indices to integers, and a dense target to an allowed dtype. */
  readonly toIntegers: string;
  readonly toDense: string;
  /** The dtypes of class indices. */
  readonly labels: string;
}

export const defaultNames: Names = {
  predictions: 'predictions',
  target: 'target',
  out: outNames('out'),
  dropAxis: (_, shape) => `drop its class axis, { data: target.data, shape: ${showShape(shape)} }`,
  toIntegers: 'these are floats, round them: Int32Array.from(data, Math.round)',
  toDense: 'use Uint8Array.from(data), or pass class indices without the class axis',
  labels: labelList,
};
