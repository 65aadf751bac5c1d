// What README.md, docs/speed.md and the charts say is what the newest file of the benchmark has: npm run bench:charts makes them.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { charts } from '../../bench/charts.js';
import { blocks, withBlock } from '../../bench/pages.js';
import { newestHeads, newestRuns } from '../../bench/report/saved.js';
import { around, caseOf, ms, savedOf } from './fixture.js';

const root = path.join(__dirname, '../..');
const [newest, ...older] = newestRuns(path.join(root, 'bench/results'));
const heads = newestHeads(path.join(root, 'bench/results'));
const textOf = (name: string) => readFileSync(path.join(root, name), 'utf8');

test.each(blocks(newest, older, heads))(
  '%s, %s: the figures of the newest file',
  (page, name, text) => {
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
    expect(textOf(page)).toBe(withBlock(textOf(page), name, text));
  },
);

test('the charts are those of the newest file', () => {
  for (const [name, chart] of charts(newest.saved, heads)) {
    expect(textOf(`bench/charts/${name}`)).toBe(chart);
  }
});

test('the fastest version with PyTorch counts, and each range has its ends', () => {
  const group = '[4,4,512,512] softmax';
  const peer = (name: string, times: number) => ({
    group,
    name,
    ms: ms(2 * times),
    oursMs: ms(2),
    toOurs: around(times),
  });
  const half = (times: number) =>
    caseOf(1, {
      case: times < 1 ? 'float16, labels' : 'bfloat16, labels',
      calls: [{ name: 'valueAndGrad', ms: ms(1), toBase: around(times) }],
    });
  const saved = savedOf([caseOf(2), half(0.7), half(1.5)], {
    peers: [
      ...[peer('PyTorch, a', 9), peer('PyTorch, b', 6), peer('TypeScript loop', 3)],
      ...[peer('PyTorch, smp DiceLoss', 12), peer('PyTorch, smp DiceLoss, compiled', 20)],
      ...[peer('PyTorch, MONAI DiceLoss', 30), peer('PyTorch, MONAI DiceLoss, compiled', 8)],
    ],
  });
  const of = Object.fromEntries(
    blocks({ saved, file: 'x/a.json' }, []).map(([, name, text]) => [name, text]),
  );
  expect(of.best).toContain('is 6.0 times as fast as the fastest PyTorch version');
  expect(of.best).toContain('and 8.0 to 12 times as fast as the losses of MONAI, nnU-Net and smp');
  expect(of.best).toContain('2 threads of A processor (2 cores), commit abc, 2026-01-02');
  expect(of.times).toContain('| [4,4,512,512] | softmax | 2.00 ms | 2.0 |');
  expect(of.ratios).toBe('- Half precision takes 0.7 to 1.5 times as long as float32.');
  expect(of.others).toContain('| [4,4,512,512] | PyTorch, b | 12.00 | 2.00 | 6.0 |');
  expect(of.head).toBe('No saved run has the chart of time and memory against C yet.');
  expect(of.others).toContain('1.0 times as long in such turns');
});

test('our own times of the newest run of each best SIMD target', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-runs-'));
  const write = (name: string, date: string, simd: string) => {
    const saved = savedOf([caseOf(2)]);
    Object.assign(saved.machine, { date });
    Object.assign(saved.results[0] as object, { simd });
    writeFileSync(path.join(folder, name), JSON.stringify(saved));
  };
  write('a-2026-01-01.json', '2026-01-01T01', 'avx512');
  write('b-2026-01-03.json', '2026-01-03T01', 'avx512');
  write('c-2026-01-04.json', '2026-01-04T01', 'avx2');
  write('d-2026-01-02.json', '2026-01-02T01', 'avx2');
  write('e-2026-01-05-part.json', '2026-01-05T01', 'neon');
  const [first, ...others] = newestRuns(folder);
  rmSync(folder, { recursive: true });
  expect([first, ...others].map(({ file }) => path.basename(file)[0])).toEqual(['c', 'b']);
  const text = blocks(first, others).find(([, name]) => name === 'times')?.[2] ?? '';
  expect(text.match(/^From .*|^\| shape .*/gm)?.map((line) => line.slice(0, 46))).toEqual([
    'From [bench/results/c-2026-01-04.json](../benc',
    '| shape | activation | avx2 | times a copy |',
    'From [bench/results/b-2026-01-03.json](../benc',
    '| shape | activation | avx512 | times a copy |',
  ]);
});

const head = [2, 1000].map((classes) => ({
  name: `[1, 32 -> ${classes}, 5]`,
  classes,
  ms: ms(3),
  aloneMs: ms(1),
  mb: 2,
  productsMs: 4,
  composedMb: 60,
  eagerMs: 20,
  eagerMb: 100,
  compiledMs: 12,
}));

test('the heads are those of the newest run that has them, also of a part', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-heads-'));
  const write = (name: string, date: string, has: object) => {
    const saved = savedOf([caseOf(2)], has);
    Object.assign(saved.machine, { date });
    writeFileSync(path.join(folder, name), JSON.stringify(saved));
  };
  write('a-2026-01-01.json', '2026-01-01T01', { head });
  write('b-2026-01-02-part.json', '2026-01-02T01', { head });
  write('c-2026-01-03.json', '2026-01-03T01', {});
  write('d-2026-01-04-part.json', '2026-01-04T01', { head: [{ name: 'x', classes: 2 }] });
  const found = newestHeads(folder);
  const [first, ...others] = newestRuns(folder);
  rmSync(folder, { recursive: true });
  expect(found.machine.date).toBe('2026-01-02T01');
  const text = blocks(first, others, found).find(([, name]) => name === 'head')?.[2] ?? '';
  expect(text).toContain(', 2026-01-02.');
});

test('linearLogits: composed is the products and the loss; what was not measured is a dash', () => {
  const saved = savedOf([], { head });
  const text =
    blocks({ saved, file: 'x/a.json' }, []).find(([, name]) => name === 'head')?.[2] ?? '';
  expect(text).toContain('| [1, 32 -> 1000, 5] | 3.0 | 5.0 | 20 | 12 | 2.0 | 60 | 100 | - |');
  const chart = charts(saved).get('head.svg') as string;
  expect(chart).not.toMatch(/NaN|Infinity|undefined/);
  expect(chart.match(/<circle/g)).toHaveLength(2 * 4 + 2 * 3); // no memory of the compiled version
  expect(charts(savedOf([], { head: head.slice(1) })).has('head.svg')).toBe(false);
});

test('a block is replaced, and a page without it refused', () => {
  const page =
    'a\n<!-- bench: x -->\nold\n<!-- /bench -->\nb\n<!-- bench: y -->\nz\n<!-- /bench -->\n';
  expect(withBlock(page, 'x', 'new')).toBe(page.replace('old', 'new'));
  expect(withBlock(page, 'y', 'new')).toBe(page.replace('z', 'new'));
  expect(() => withBlock(page, 'w', 'new')).toThrow('<!-- bench: w -->');
});
