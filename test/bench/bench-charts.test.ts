// The charts: what is drawn, and that nothing is drawn of what a run does not have.
import { expect, test } from '@jest/globals';
import { charts } from '../../bench/charts.js';
import { roundMarks } from '../../examples/plot.js';
import { around, caseOf, savedOf, ms as timed } from './fixture.js';

const group = '[4,4,512,512] softmax';
const calls = [
  { name: 'read, write', ms: timed(2), toCopy: around(2) },
  { name: 'valueAndGrad', ms: timed(4), toCopy: around(4) },
];
const point = (x: number, elements: number, ms: number) => ({
  x,
  elements,
  ms: timed(ms),
  copyMs: timed(ms / 4),
});
const full = savedOf([caseOf(4, { calls })], {
  peers: [
    { group, name: 'PyTorch, <by hand> & co', toOurs: around(10) },
    { group, name: 'jax-js, wasm', toOurs: around(100) },
    { group, name: 'TypeScript loop', skipped: 'not there' },
  ],
  scaling: [
    { name: 'threads', fixed: '[4,4,512,512]', points: [point(1, 8, 9), point(2, 8, 3)] },
    { name: 'voxels', fixed: '[1,2,S]', points: [point(1, 2, 1), point(2 ** 10, 2 ** 11, 1)] },
    { name: 'classes', fixed: '[1,C,S]', points: [{ x: 1, elements: 4, fault: 'wrong' }] },
  ],
});

/** Every element closes in order. */
function isWellFormed(chart: string): boolean {
  const open: string[] = [];
  for (const [, closing, name, rest] of chart.matchAll(/<(\/?)([a-z]+)([^>]*)>/g)) {
    if (closing) {
      if (open.pop() !== name) return false;
    } else if (!rest?.endsWith('/')) open.push(name as string);
  }
  return open.length === 0;
}

/** x and width of the bars. */
const barsOf = (chart: string) =>
  [...chart.matchAll(/<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"/g)].map(([, x, width]) => [
    Number(x),
    Number(width),
  ]);

test('three well-formed charts, with machine and date, for light and dark', () => {
  const drawn = charts(full);
  expect([...drawn.keys()]).toEqual(['limit.svg', 'peers.svg', 'scaling.svg']);
  for (const chart of drawn.values()) {
    expect(isWellFormed(chart)).toBe(true);
    expect(chart).not.toMatch(/NaN|Infinity|undefined/);
    expect(chart).toContain('A processor, 2 cores, 2 threads, node v20.0.0, abc, 2026-01-02');
    expect(chart).toContain('prefers-color-scheme:dark');
  }
});

test('bars: the ratio to the copy from zero; what was skipped is not drawn; the axis of peers is logarithmic', () => {
  const drawn = charts(full);
  const limit = drawn.get('limit.svg') as string;
  expect(barsOf(limit)).toHaveLength(1);
  expect(limit).toContain('avx512, float32, labels');
  expect(limit).toContain('>4.0<');

  const peers = drawn.get('peers.svg') as string;
  expect(peers).toContain('PyTorch, &lt;by hand&gt; &amp; co');
  const [hand, jax] = barsOf(peers) as [number[], number[]];
  expect(barsOf(peers)).toHaveLength(2);
  expect(jax[0]).toBe(hand[0]);
  expect(Number(jax[1]) / Number(hand[1])).toBeCloseTo(2, 1); // 100 to 10
});

test('scaling: a curve for the call and one for the copy; a panel needs two points', () => {
  const scaling = charts(full).get('scaling.svg') as string;
  expect(scaling).toContain('speed-up over threads');
  const heights = [...scaling.matchAll(/<circle[^>]* cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  expect(heights[1]).toBeLessThan(heights[0] as number); // less time is more speed-up, and up is less
  expect(scaling).toContain('2^10');
  expect(scaling).not.toContain('over classes C');
  expect(scaling.match(/<circle/g)).toHaveLength(8);
});

test('a run without a part has no chart of it', () => {
  expect([...charts(savedOf([caseOf(4)])).keys()]).toEqual(['limit.svg']);
  expect(charts(savedOf([])).size).toBe(0);
});

test('a peer in float32 beside ours in half precision is labelled so; the SIMD target is named', () => {
  const peers = ['[2,117,96,96,96] softmax', group].map((shape) => ({
    group: shape,
    name: 'TypeScript loop',
    toOurs: around(79),
  }));
  const { options } = full;
  const drawn = charts({ ...full, peers, options: { ...options, simd: 'avx512' } });
  const chart = drawn.get('peers.svg') as string;
  expect(chart).toContain('>[2,117,96,96,96] softmax, ours float16<');
  expect(chart).toContain(`>${group}<`);
  expect(chart).toContain('float32, avx512<');
  expect(drawn.get('scaling.svg')).toContain('labels, avx512<');
});

test.each([
  [1.89, [0, 0.5, 1, 1.5]],
  [2.07, [0, 1, 2]],
  [0.54, [0, 0.2, 0.4]],
  [0.33, [0, 0.1, 0.2, 0.3]],
  [12, [0, 5, 10]],
])('marks of an axis up to %d are round numbers', (most, marks) => {
  expect(roundMarks(most)).toEqual(marks);
});
