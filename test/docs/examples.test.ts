// The examples that finish in a moment, run as a user would.
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { readFlags } from '../../examples/train/flags.js';
import { runWell } from '../support/process.js';

const example = (name: string) => path.join(__dirname, '..', '..', 'examples', name);

test.each(['1', '3', '5'])('shards: one volume on %s workers', async (workers) => {
  const output = await runWell(example('shards/main.mjs'), { args: [workers] });
  const numberAfter = (label: string) => Number(output.match(`${label} +([-+.e0-9]+)`)?.[1]);
  expect(numberAfter('workers')).toBe(Number(workers));
  // The sums of float32 vectors are added in another order; each slab's own are in double.
  expect(numberAfter('loss, sharded')).toBeCloseTo(numberAfter('loss, whole'), 7);
  expect(numberAfter('gradient, voxels')).toBe(37 * 32 * 32);
  expect(numberAfter('gradient, off by')).toBeLessThan(1e-6);
});

test('npm start: which losses --loss takes', () => {
  expect(readFlags(['--loss', 'lovasz'])?.loss).toBe('lovasz');
  expect(() => readFlags(['--loss', 'diec'])).toThrow(
    'Expected dice, jaccard, tversky, generalized, dice-ce, dice-focal, matthews, unified-focal, lovasz, top-k or ce for --loss but received diec.',
  );
  for (const flags of [['--head'], ['--ranks', '2']]) {
    const [flag] = flags;
    expect(() => readFlags([...flags, '--loss', 'top-k'])).toThrow(
      `${flag} cannot be combined with --loss top-k, which has no sums.`,
    );
    expect(readFlags([...flags, '--loss', 'unified-focal'])?.loss).toBe('unified-focal');
  }
});
