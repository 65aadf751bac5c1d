// docs/distributed.md: the table of the model is what its formulas give, and that of a step what the saved run has.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { readSaved } from '../../bench/report/saved.js';

const root = path.join(__dirname, '../..');
const page = readFileSync(path.join(root, 'docs/distributed.md'), 'utf8');

interface Network {
  latency: number;
  bytesPerSecond: number;
}
const between: Network = { latency: 2e-6, bytesPerSecond: 12.5e9 };
const inside: Network = { latency: 0.5e-6, bytesPerSecond: 50e9 };

const ring = (ranks: number, bytes: number, { latency, bytesPerSecond }: Network) =>
  2 * (ranks - 1) * (latency + bytes / (ranks * bytesPerSecond));
const tree = (ranks: number, bytes: number, { latency, bytesPerSecond }: Network) =>
  Math.ceil(Math.log2(ranks)) * (latency + bytes / bytesPerSecond);
function hierarchy(ranks: number, bytes: number): number {
  const here = Math.min(ranks, 8);
  const machines = ranks / here;
  return (
    Math.min(ring(here, bytes, inside), 2 * tree(here, bytes, inside)) +
    Math.min(ring(machines, bytes, between), tree(machines, bytes, between))
  );
}

/** Two digits, and all in front of the point. */
function time(seconds: number): string {
  const [number, unit] = seconds < 1e-3 ? [seconds * 1e6, 'us'] : [seconds * 1e3, 'ms'];
  return `${number >= 100 ? number.toFixed(0) : number.toPrecision(2)} ${unit}`;
}

test.each([2, 8, 16, 128, 1000, 10_000])('%i ranks', (ranks) => {
  const cells = [512, 1e8].flatMap((bytes) => [
    ring(ranks, bytes, between),
    tree(ranks, bytes, between),
    hierarchy(ranks, bytes),
  ]);
  expect(page).toContain(`\n| ${ranks} | ${cells.map(time).join(' | ')} |\n`);
});

test('the share of a step is that of the saved run', () => {
  const [, file] = /\]\(\.\.\/(bench\/results\/[^)]+\.json)\)/.exec(page) as unknown as [
    string,
    string,
  ];
  const saved = readSaved(path.join(root, file));
  const rows = saved.ranks?.filter(({ ranks }) => ranks === 2) ?? [];
  expect(rows).toHaveLength(3);
  for (const { classes, allReduceMs, ms } of rows) {
    const [sum, step] = [allReduceMs?.median as number, ms?.median as number];
    const share = `${((100 * sum) / step).toFixed(1)}%`;
    expect(page).toContain(
      `\n| ${classes} | ${sum.toPrecision(2)} ms | ${step.toPrecision(2)} ms | ${share} |\n`,
    );
  }
});
