// The operations of a loss: the steps of each, its option keys, and its result.

import type { LinearAccumulate, LinearGrad } from '../head/linear-grad.js';
import { Step } from '../native/codes.js';
import type { Tensor } from '../tensors/tensor.js';
import type {
  CallOptions,
  GradientOptions,
  LinearGradientOptions,
  LinearValueAndGradOptions,
  TargetGradientOptions,
  ValueAndGradOptions,
  ValueOptions,
} from './options.js';
import type { PreparedCall } from './prepared-call.js';
import {
  type LinearValueAndGrad,
  type LossValue,
  type LossValueAndGrad,
  lossLinearValueAndGrad,
  lossValue,
  lossValueAndGrad,
} from './result.js';
import type { Statistics } from './statistics.js';

/** The options of any operation. */
export type AnyOptions = Omit<ValueAndGradOptions, 'out' | 'accumulate'> & {
  out?: unknown;
  accumulate?: boolean | LinearAccumulate;
};

export interface Operation<Options extends AnyOptions, Result> {
  readonly steps: number;
  /** The keys of its options, and the keys of `out` (none when `out` is statistics). */
  readonly keys: readonly string[];
  readonly outKeys: readonly string[];
  result(call: PreparedCall, out: Options['out']): Result;
}

export const valueOutKeys = ['value', 'perClass', 'parts'];
const pairsKey = 'sampleClassWeight';
const targetGradientKeys = ['weight', pairsKey, 'gradScale', 'accumulate', 'upstream', 'out'];
const gradientKeys = [...targetGradientKeys, 'gradDtype'];
const gradOf = ({ grad }: PreparedCall) => grad as Tensor;

export const value: Operation<ValueOptions, LossValue> = {
  steps: Step.statistics | Step.finalize,
  keys: ['weight', pairsKey, 'out'],
  outKeys: valueOutKeys,
  result: lossValue,
};

export const valueAndGrad: Operation<ValueAndGradOptions, LossValueAndGrad> = {
  steps: Step.statistics | Step.finalize | Step.gradient,
  keys: gradientKeys,
  outKeys: [...valueOutKeys, 'grad'],
  result: lossValueAndGrad,
};

export const linearValueAndGrad: Operation<LinearValueAndGradOptions, LinearValueAndGrad> = {
  ...valueAndGrad,
  result: lossLinearValueAndGrad,
};

export const statistics: Operation<CallOptions & { out?: Statistics }, Statistics> = {
  steps: Step.statistics,
  keys: ['weight', 'out', pairsKey], // which is refused with what to do
  outKeys: [],
  result: (call) => call.statistics as Statistics,
};

export const gradient: Operation<GradientOptions, Tensor> = {
  steps: Step.gradient,
  keys: [...gradientKeys, 'sampleOffset'],
  outKeys: ['grad'],
  result: gradOf,
};

export const linearGradient: Operation<LinearGradientOptions, LinearGrad> = {
  ...gradient,
  result: ({ linearGrad }) => linearGrad as LinearGrad,
};

export const targetGradient: Operation<TargetGradientOptions, Tensor> = {
  steps: Step.targetGradient,
  keys: [...targetGradientKeys, 'sampleOffset'],
  outKeys: ['targetGrad'],
  result: gradOf,
};
