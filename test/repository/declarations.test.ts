// What users' compilers read: the declarations in dist/, without the members that are for this package alone.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const dist = path.join(__dirname, '..', '..', 'dist');
const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.d.ts'),
);
const read = (name: string) => readFileSync(path.join(dist, name), 'utf8');

test('no declaration is internal', () => {
  expect(files).toContain('index.d.ts');
  expect(files.filter((name) => read(name).includes('@internal'))).toEqual([]);
  expect(read('losses/loss.d.ts')).not.toMatch(/mergedSync|prepare\(|channelsLast/);
  expect(read('tensors/tensor.d.ts')).not.toMatch(/forResult|fromNamed|isWhole|storage\(/);
});

test('plans and statistics are made by calls', () => {
  for (const name of ['calls/plan.d.ts', 'calls/statistics.d.ts']) {
    expect(read(name)).toMatch(/private constructor\(\);/);
  }
});
