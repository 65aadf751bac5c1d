// docs/distributed.md: the table of the model is what its formulas give, and that of a step what the saved run has.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

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
  const file = 'bench/results/amd-epyc-2026-11-30.json';
  expect(page).toContain(`](../${file})`);
  type Row = Record<'ranks' | 'classes', number> & Record<'allReduceMs' | 'ms', { median: number }>;
  const saved: { ranks: Row[] } = JSON.parse(readFileSync(path.join(root, file), 'utf8'));
  const rows = saved.ranks.filter(({ ranks }) => ranks === 2);
  expect(rows).toHaveLength(3);
  for (const { classes, allReduceMs, ms } of rows) {
    const [sum, step] = [allReduceMs.median, ms.median];
    const share = `${((100 * sum) / step).toFixed(1)}%`;
    expect(page).toContain(
      `\n| ${classes} | ${sum.toPrecision(2)} ms | ${step.toPrecision(2)} ms | ${share} |\n`,
    );
  }
});

test('bytes, packets and microseconds are those of the run of --parts ranks', () => {
  type Row = Record<'ranks' | 'classes' | 'bytes' | 'sentBytes' | 'packets', number> & {
    mpi: string;
  } & Partial<Record<'syncMs' | 'asyncMs', { median: number }>>;
  const file = path.join(root, 'bench/results/amd-epyc-2026-11-30-part.json');
  const { ranks: rows }: { ranks: Row[] } = JSON.parse(readFileSync(file, 'utf8'));
  const counted = rows.filter(({ sentBytes }) => sentBytes !== undefined);
  for (const { ranks, sentBytes, packets } of counted.filter(({ bytes }) => bytes === 512)) {
    const cell = `${sentBytes.toFixed(0)} bytes, ${packets.toFixed(0)} packets`;
    const long = counted.find((row) => row.ranks === ranks && row.bytes > 512) as Row;
    const megabytes = (x: number) => `${Number((x / 1e6).toPrecision(4))} MB`;
    const least = `${1024 * (ranks - 1)}, ${megabytes(2 * (ranks - 1) * long.bytes)}`;
    expect(page).toContain(`\n| ${ranks} | ${cell} | ${megabytes(long.sentBytes)} | ${least} |\n`);
  }
  for (const classes of [4, 20, 117]) {
    const timed = rows.filter((row) => row.classes === classes);
    const [alone, ...others] = timed;
    const cells = [alone, ...others.filter(({ ranks }) => ranks === 2)].map((row) =>
      [row?.syncMs, row?.asyncMs]
        .map((ms) => (1000 * (ms?.median as number)).toFixed(0))
        .join(', '),
    );
    expect(page).toContain(` bytes) | ${cells.join(' | ')} |\n`);
  }
});
