// What messages call the arguments of a call, and how they say to mend them: warpdice/tfjs has other names and tensors.
import { showShape } from '../common/check.js';

export interface Names {
  readonly predictions: string;
  readonly target: string;
  /** How the target loses its axis `axis`, so that this shape remains. */
  dropAxis(axis: number, shape: readonly number[]): string;
  /** How class indices get a dtype of integers, and a dense target one that is allowed. */
  readonly toIntegers: string;
  readonly toDense: string;
}

export const defaultNames: Names = {
  predictions: 'predictions',
  target: 'target',
  dropAxis: (_, shape) => `drop its class axis, { data: target.data, shape: ${showShape(shape)} }`,
  toIntegers: 'use Uint8Array.from(data) or Int32Array.from(data)',
  toDense: 'use Uint8Array.from(data), or pass class indices without the class axis',
};
