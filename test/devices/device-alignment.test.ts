/**
 * Memory on a GPU that does not begin at a multiple of its element size: kernels could not read it.
 *
 * @jest-environment ./test/support/emulated-environment.cjs
 */
import { expect, test } from '@jest/globals';
import type { NativeCall } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import { callResample } from '../../lib/calls/resample.js';
import { cuda } from '../../lib/devices/cuda.js';
import { DTypeCode } from '../../lib/native/codes.js';
import { gpu } from '../support/device.js';
import { nativeCall, plainOptions, valueAndGradSteps } from '../support/native.js';

const stream = gpu.stream.native;
const allocate = () => cuda().allocate(stream, 64, false);

test('a call', () => {
  const loss = new (cuda().DeviceLoss)({ ...plainOptions, activation: 1 });
  const good = nativeCall({
    steps: valueAndGradSteps,
    samples: 1,
    classes: 1,
    voxels: 4,
    predictions: allocate(),
    target: allocate(),
    targetType: DTypeCode.int32,
    targetIsLabels: true,
    value: allocate(),
    grad: allocate(),
    stream,
  });
  const check = (changes: Partial<NativeCall>) => () =>
    callLoss(loss, 'check', { ...good, ...changes });
  expect(check({})).not.toThrow();
  for (const name of ['predictions', 'target', 'value', 'grad'] as const) {
    const changed = { [name]: allocate().view(2, 32) };
    expect(check(changed)).toThrow(/^Expected memory for .* multiple of its element size$/);
    expect(check(changed)).toThrow(name);
  }
});

test('a resampling', () => {
  const resampling = {
    from: allocate(),
    elementBytes: 4,
    outer: 1,
    fromSizes: [4],
    toSizes: [2],
    inner: 1,
    to: allocate(),
    stream,
  };
  expect(() => callResample(cuda(), resampling)).not.toThrow();
  expect(() => callResample(cuda(), { ...resampling, to: allocate().view(2, 32) })).toThrow(
    /^Expected memory for to /,
  );
});

test('a weighted sum', () => {
  const [sum, value] = [allocate().view(0, 8), allocate().view(4, 8)];
  expect(() => cuda().addWeighted(sum, value, 1, true, stream)).toThrow(/multiple of 8 bytes$/);
});
