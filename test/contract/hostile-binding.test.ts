// The private binding with wrong numbers and arrays: what it cannot use it refuses. It never ends the process.
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { NativeCall } from '../../binding.js';
import { callLoss } from '../../lib/calls/native-call.js';
import { DTypeCode } from '../../lib/native/codes.js';
import { native } from '../../lib/native/load.js';
import { nativeCall, plainOptions, valueAndGradSteps } from '../support/native.js';
import { runWell } from '../support/process.js';

/** Longer by WARPDICE_FUZZ_ROUNDS; five calls a round. */
const rounds =
  process.env.WARPDICE_FUZZ_ROUNDS ?? (process.env.WARPDICE_TEST_ALL ? '20000' : '2000');

test('wrong numbers, sizes that overflow, arrays of other types', async () => {
  const compiled = path.resolve(__dirname, '../../build/Release/warpdice.node');
  const addon = process.env.WARPDICE_TEST_ADDON ?? compiled;
  const { made, threw } = JSON.parse(
    await runWell('hostile-binding.mjs', { args: [addon, rounds] }),
  );
  expect(made).toBe(5 * Number(rounds) + 2);
  expect(threw).toBeGreaterThan(made / 2);
  expect(threw).toBeLessThan(made);
});

describe('an array is what the engine says, not what its properties say', () => {
  const loss = new native.Loss({ ...plainOptions, activation: 1 });
  const run = (changes: Partial<NativeCall>) =>
    callLoss(
      loss,
      'run',
      nativeCall({
        steps: valueAndGradSteps,
        samples: 1,
        classes: 1,
        voxels: 4,
        predictions: new Float32Array(4),
        predictionsType: DTypeCode.float32,
        target: new Uint8Array(4),
        targetType: DTypeCode.uint8,
        targetIsLabels: true,
        value: new Float64Array(1),
        grad: new Float32Array(4),
        gradType: DTypeCode.float32,
        ...changes,
      }),
    );
  const disguised = Object.defineProperties(new Uint8Array(new ArrayBuffer(32), 1, 16), {
    [Symbol.toStringTag]: { value: 'Float32Array' },
    constructor: { value: Float32Array },
    byteOffset: { value: 0 },
  });

  test('a good call', () => expect(() => run({})).not.toThrow());

  test.each<[string, Partial<NativeCall>]>([
    ['predictions', { predictions: disguised }],
    ['predictions', { predictions: new Int32Array(4) }],
    ['target', { target: new Int8Array(4) }],
    ['target', { target: new Float32Array(4) }],
    ['weight', { weight: disguised, weightType: DTypeCode.float32 }],
    ['out.value', { value: new BigInt64Array(1) }],
    ['out.perClass', { perClass: new Float32Array(2) }],
    ['out.grad', { grad: disguised }],
    ['statistics', { statistics: new Uint8Array(64) }],
  ])('%s', (name, changes) => {
    expect(() => run(changes)).toThrow(/^Expected (an array of the given dtype|memory) for /);
    expect(() => run(changes)).toThrow(name);
  });
});
