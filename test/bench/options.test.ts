// The flags of the benchmark, and which cases they pick.
import { expect, test } from '@jest/globals';
import { type Group, groups, lacksMemory, select } from '../../bench/cases/cases.js';
import { extentOf, readOptions } from '../../bench/options.js';

test('without flags: the main shapes, no scaling, two threads', () => {
  const options = readOptions([]);
  expect(options).toMatchObject({ parts: ['times', 'peers', 'memory'], threads: 2, quick: false });
  expect(select(options).map(({ extent }) => extent)).not.toContain('more');
});

test('--all: every shape and every part', () => {
  const options = readOptions(['--all']);
  expect(options.parts).toContain('scaling');
  expect(select(options)).toEqual(groups);
  expect(readOptions(['--all', '--parts', 'times']).parts).toEqual(['times']);
});

const whole = { quick: false, all: false, parts: ['times', 'peers', 'memory'], threads: 2 };
test.each([
  [{}, ''],
  [{ all: true, parts: ['times', 'peers', 'memory', 'scaling'] }, ''],
  [{ quick: true, filter: '512' }, '-quick'],
  [{ filter: '512' }, '-part'],
  [{ parts: ['times', 'memory'] }, '-part'],
  [{ simd: 'avx2' }, process.arch === 'x64' ? '' : '-part'], // as where there is no AVX-512
  [{ simd: 'baseline' }, '-part'],
  [{ threads: 1 }, '-part'],
])('the file of a run with %j is not that of a whole one: %j', (more, extent) => {
  expect(extentOf({ ...whole, ...more })).toBe(extent);
});

test('--filter looks into shape and name, without spaces and case; the first case of a shape stays', () => {
  expect(select(readOptions(['--filter', '[2,117'])).map(({ name }) => name)).toEqual([
    '[2,117,96,96,96] softmax',
  ]);
  const jaccard = select(readOptions(['--filter', 'JACCARD']));
  expect(jaccard).toHaveLength(4);
  for (const { cases } of jaccard) {
    expect(cases.map(({ name }) => name)).toEqual(['float32, labels', 'Jaccard']);
  }
});

test('a shape that would take more than half of the free memory is named', () => {
  const large = groups.find(({ name }) => name.startsWith('[2,117')) as Group;
  // 207,028,224 values of float16 and their gradient; 1,769,472 labels.
  expect(lacksMemory(large, 1.6e9)).toBe('needs 0.8 GB, more than half of the free 1.6 GB');
  expect(lacksMemory(large, 1.7e9)).toBeUndefined();
});

test.each([
  [['--threads', '0'], 'Expected 1 to 256 for --threads but received 0'],
  [['--threads', 'two'], 'Expected 1 to 256 for --threads but received two'],
  [
    ['--simd', 'avx9'],
    'Expected some of avx512, avx2, baseline, neon for --simd but received "avx9"',
  ],
  [
    ['--parts', 'times,rest'],
    'Expected some of times, peers, memory, scaling, ranks, head for --parts but received "rest"',
  ],
  [['--filter', 'zzz'], 'Expected text that a case holds for --filter but received "zzz"'],
  [
    ['--from', 'run.json', '--quick'],
    'Expected no flag but --save beside --from but received --quick',
  ],
  [
    ['--threads', '4', '--from', 'run.json'],
    'Expected no flag but --save beside --from but received --threads',
  ],
  [['--unknown'], "Unknown option '--unknown'"],
])('%j is refused', (args, message) => {
  expect(() => readOptions(args)).toThrow(message);
});
