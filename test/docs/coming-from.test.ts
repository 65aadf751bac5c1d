// docs/coming-from.md: the options of each row give the values and gradients of the other library. What the libraries gave is
// recorded in test/peers/recorded.json; `npm run peers` computes it anew and sets WARPDICE_PEERS.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Loss } from '../../lib/index.js';
import * as library from '../../lib/index.js';
import { expectClose } from '../support/compare.js';
import { numbers, tensor } from '../support/tensors.js';

interface Theirs {
  /** What the library computes in, whatever it is given. */
  dtype: 'float32' | 'float64';
  value: number;
  /** In the layout of the predictions, [N, C, H, W]. */
  gradient: number[];
}

type Name = 'logits' | 'probabilities' | 'soft' | 'labels' | 'ignoring' | 'without2' | 'mask';

interface Recorded {
  versions: Record<string, string>;
  problem: Record<Name | 'logits1' | 'labels1' | 'shape' | 'truth' | 'found', number[]>;
  rows: Record<string, Theirs>;
  /** Of the metrics; null is NaN. */
  scores: Record<string, (number | null)[]>;
}

const file = process.env.WARPDICE_PEERS ?? path.join(__dirname, '../peers/recorded.json');
const {
  versions,
  problem,
  rows: recorded,
  scores,
}: Recorded = JSON.parse(readFileSync(file, 'utf8'));
const [N, C, H, W] = problem.shape as [number, number, number, number];

const page = readFileSync(path.join(__dirname, '../../docs/coming-from.md'), 'utf8');
const [losses = '', metrics = ''] = page.split(/^## Metrics/m);
const rows = losses.split(/^## /m).flatMap((section) => {
  const [name] = /^[\w.-]+/.exec(section) ?? [''];
  return [...section.matchAll(/^\| `(.+?)` \| `(new .+?)` \| `(.+?)` \|$/gm)].map(
    ([, theirs = '', ours = '', number = '']) => ({ name: `${name}: ${theirs}`, ours, number }),
  );
});

const metricRows = [...metrics.matchAll(/^\| `(.+?)` \| `(new .+?)` \| `(.+?)` \|$/gm)].map(
  ([, theirs = '', ours = '', score = '']) => ({ theirs, ours, score }),
);

/** The expression of a table's cell, with these names. */
const evaluate = (text: string, names: Record<string, unknown>): unknown =>
  new Function(...Object.keys(names), `return ${text}`)(...Object.values(names));

/** The problem of a row, by the words behind its call. */
const problems: Record<string, { x?: Name | 'logits1'; labels?: Name | 'labels1'; weight?: Name }> =
  {
    '': {},
    'one class': { x: 'logits1', labels: 'labels1' },
    probabilities: { x: 'probabilities' },
    'a soft target': { labels: 'soft' },
    'ignored voxels': { labels: 'ignoring' },
    'an absent class': { labels: 'without2' },
    'masked voxels': { weight: 'mask' },
  };

/** [N, C, H, W] with the classes last, as `layout: 'channels-last'` wants it. */
function classesLast(values: readonly number[], classes: number): number[] {
  const voxels = H * W;
  return Array.from({ length: values.length }, (_, i) => {
    const [voxel, c] = [Math.floor(i / classes), i % classes];
    const [n, s] = [Math.floor(voxel / voxels), voxel % voxels];
    return values[(n * classes + c) * voxels + s] as number;
  });
}

/** The other way round. */
function classesFirst(values: readonly number[], classes: number): number[] {
  const voxels = H * W;
  return Array.from({ length: values.length }, (_, i) => {
    const [row, s] = [Math.floor(i / voxels), i % voxels];
    const [n, c] = [Math.floor(row / classes), row % classes];
    return values[(n * voxels + s) * classes + c] as number;
  });
}

const onehot = () =>
  Array.from({ length: N * C * H * W }, (_, i) => {
    const [row, s] = [Math.floor(i / (H * W)), i % (H * W)];
    const [n, c] = [Math.floor(row / C), row % C];
    return problem.labels[n * H * W + s] === c ? 1 : 0;
  });

function solve({ name, ours }: { name: string; ours: string }) {
  const loss = evaluate(ours, { ...library }) as Loss;
  const { x = 'logits', labels = 'labels', weight } = problems[name.split(', on ')[1] ?? ''] ?? {};
  const classes = x === 'logits1' ? 1 : C;
  const last = ours.includes('channels-last');
  // Keras sums over everything by default: one class, of all values.
  const flat = name.startsWith('Keras') && !name.includes('axis');
  const shape = flat ? [N * C * H * W] : last ? [N, H, W, classes] : [N, classes, H, W];
  const arranged = (values: readonly number[]) => (last ? classesLast(values, classes) : values);
  const dense = labels === 'soft' ? problem.soft : flat ? onehot() : undefined;
  const target = dense
    ? tensor(arranged(dense), shape, 'float64')
    : tensor(problem[labels], [N, H, W], 'uint8');
  const { value, grad } = loss.valueAndGrad(
    tensor(arranged(problem[x]), shape, 'float64'),
    target,
    weight ? { weight: tensor(problem[weight], [N, H, W], 'uint8') } : {},
  );
  const slopes = [...numbers(grad)];
  const gradient = last ? classesFirst(slopes, classes) : slopes;
  return { value: value.itemSync(), gradient };
}

test('the page and what is recorded have the same rows', () => {
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(recorded).sort());
  expect(metricRows.map(({ theirs }) => theirs).sort()).toEqual(Object.keys(scores).sort());
  const written = rows.length + metricRows.length;
  expect(page.match(/^\| `/gm)).toHaveLength(written); // no row that is written another way
});

describe('the page that `npm run peers -- --record` writes', () => {
  const passed = [...Object.keys(recorded), ...Object.keys(scores)];
  const write = (given: Record<string, string>, names: string[]) => {
    const script = `import { pageOf } from './test/peers/page.mjs';
      const [page, versions, passed] = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));
      console.log(JSON.stringify(pageOf(page, versions, new Set(passed))));`;
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: path.join(__dirname, '../..'),
      input: JSON.stringify([page, given, names]),
      encoding: 'utf8',
    });
    return JSON.parse(output) as { text: string; leftOut: string[] };
  };

  test('is the page, where every row passed', () => {
    expect(write(versions, passed)).toEqual({ text: page, leftOut: [] });
  });

  test('has other versions, and not the rows that did not pass', () => {
    const [loss, score] = ['MONAI: FocalLoss()', Object.keys(scores)[0] as string];
    const others = passed.filter((name) => name !== loss && name !== score);
    const { text, leftOut } = write({ ...versions, monai: '1.7.2', torch: '3.0.1' }, others);
    expect(leftOut).toEqual([loss, score]);
    expect(text).toContain('\n## MONAI 1.7.2\n');
    expect(text).toContain('\n## PyTorch 3.0\n');
    expect(text.split('\n').length).toBe(page.split('\n').length - 2);
    expect(text).not.toContain('| `FocalLoss()` |');
  });
});

test('the page names the versions that gave the numbers', () => {
  const packages: Record<string, string> = {
    'nnU-Net': 'nnunetv2',
    'segmentation_models.pytorch': 'segmentation-models-pytorch',
    PyTorch: 'torch',
  };
  for (const [, name = '', version = ''] of losses.matchAll(/^## (.+) v?([\d.]+)$/gm)) {
    const given = versions[packages[name] ?? name.toLowerCase()];
    expect(`${name} ${given}.`).toContain(`${name} ${version}.`);
  }
  expect(losses.match(/^## .+ v?[\d.]+$/gm)).toHaveLength(7);
});

test.each(rows)('$name', (row) => {
  const ours = solve(row);
  const theirs = recorded[row.name] as Theirs;
  const toTheirs = (value: number) => evaluate(row.number, { value }) as number;
  const within = theirs.dtype === 'float32' ? 1e-6 : 1e-9;
  expectClose('value', [toTheirs(ours.value)], [theirs.value], within);
  const scale = toTheirs(1) - toTheirs(0);
  expect(Math.max(...theirs.gradient.map(Math.abs))).toBeGreaterThan(1e-4);
  expectClose(
    'gradient',
    ours.gradient.map((g) => scale * g),
    theirs.gradient,
    within,
  );
});

test.each(metricRows)('$theirs', ({ theirs, ours, score }) => {
  const counts = evaluate(ours, { ...library }) as library.SegmentationMetrics;
  counts.update(
    tensor(problem.found, [N, H, W], 'uint8'),
    tensor(problem.truth, [N, H, W], 'uint8'),
  );
  const found = evaluate(`counts.${score}`, { counts }) as number | Float64Array;
  const expected = (scores[theirs] as (number | null)[]).map((x) => x ?? Number.NaN);
  expectClose(score, typeof found === 'number' ? [found] : found, expected, 1e-6);
});

describe('the comparison', () => {
  test('sees a wrong option', () => {
    const name = 'MONAI: DiceLoss(softmax=True, smooth_nr=0, smooth_dr=0.5)';
    const wrong = "new DiceLoss({ activation: 'softmax', smoothDenominator: 0.5 })";
    const { value } = solve({ name, ours: wrong });
    expect(Math.abs(value - (recorded[name] as Theirs).value)).toBeGreaterThan(1e-3);
  });
});
