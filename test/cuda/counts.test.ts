// The committed counts of instructions (counts/README.md): what must hold of them without a compiler of kernels.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const read = (name: string) =>
  JSON.parse(readFileSync(path.join(__dirname, 'counts', name), 'utf8'));
const classes: { statistics: number[]; gradient: number[] } = read('classes.json');

describe.each(['statistics', 'gradient'] as const)('counts of %s', (kernel) => {
  const counts = classes[kernel];

  test('1 to 1000 classes; from one number to the next they change by at most a third', () => {
    expect(counts).toHaveLength(1000);
    const changes = counts.slice(1).map((count, i) => ({
      change: count / (counts[i] as number) - 1,
      classes: i + 2,
    }));
    expect(changes.filter(({ change }) => !(Math.abs(change) <= 1 / 3))).toEqual([]);
  });

  test('are those of the table', () => {
    const rows = read('counts.json').filter(
      (row: Record<string, unknown>) =>
        row.kernel === kernel &&
        row.dtype === 'float32' &&
        row.labels === 'uint8' &&
        row.layout === 'channels-first' &&
        row.loss === 'dice' &&
        row.voxelWeights === undefined &&
        row.channels === undefined &&
        (row.shape as number[])[0] === 8,
    );
    expect(rows.length).toBeGreaterThan(30);
    for (const row of rows) {
      expect([row.classes, counts[row.classes - 1]]).toEqual([
        row.classes,
        row.instructionsPerElement,
      ]);
    }
  });
});

test('60% of the instructions of a head of 117 classes and 32 features are multiply-adds', () => {
  const rows = read('counts.json').filter(
    (row: Record<string, unknown>) =>
      row.classes === 117 && row.channels === 32 && row.dtype === 'float32' && row.loss === 'dice',
  );
  expect(rows.map((row: Record<string, unknown>) => row.kernel)).toEqual([
    'statistics',
    'gradient',
  ]);
  const sum = (of: (row: Record<string, number>) => number) => of(rows[0]) + of(rows[1]);
  const all = sum((row) => row.instructionsPerElement as number);
  const multiplyAdds = sum(
    (row) => (row.instructionsPerElement as number) * (row.multiplyAdds as number),
  );
  expect(multiplyAdds / all).toBeGreaterThan(0.6);
});
