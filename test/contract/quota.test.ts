/** @jest-environment ./test/support/emulated-environment.cjs */
// The CPU quota of a process's cgroup: a table of files as Linux shows them, and the processors that they are worth.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { fake } from '../support/device.js';

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

function quotaOf(files: Record<string, string>): number {
  const root = mkdtempSync(path.join(os.tmpdir(), 'warpdice-quota-'));
  roots.push(root);
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(root, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return fake.quotaProcessors(root);
}

const own = 'proc/self/cgroup';
const v2 = (folder: string) => `sys/fs/cgroup${folder}/cpu.max`;
const v1 = (folder: string, quota: string, period = '100000\n') => ({
  [`sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: quota,
  [`sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: period,
});

const cases: [string, number, Record<string, string>][] = [
  ['no files', 0, {}],
  ['no quota', 0, { [own]: '0::/\n', [v2('')]: 'max 100000\n' }],
  ['a container of 2 processors', 2, { [own]: '0::/\n', [v2('')]: '200000 100000\n' }],
  ['rounded up', 3, { [own]: '0::/\n', [v2('')]: '200001 100000\n' }],
  ['at least 1', 1, { [own]: '0::/\n', [v2('')]: '1000 100000\n' }],
  ['another period', 4, { [own]: '0::/\n', [v2('')]: '40000 10000\n' }],
  ['of its own group', 2, { [own]: '0::/a/b\n', [v2('/a/b')]: '150000 100000' }],
  [
    'of a group above',
    2,
    { [own]: '0::/a/b/c\n', [v2('/a/b/c')]: 'max 100000', [v2('/a')]: '200000 100000' },
  ],
  [
    'the smallest of all groups above',
    1,
    {
      [own]: '0::/a/b\n',
      [v2('/a/b')]: '300000 100000',
      [v2('/a')]: '100000 100000',
      [v2('')]: '200000 100000',
    },
  ],
  ["the host's path inside a container", 2, { [own]: '0::/docker/x\n', [v2('')]: '200000 100000' }],
  ['a path outside of the namespace', 2, { [own]: '0::/../x\n', [v2('')]: '200000 100000' }],
  ['v1', 2, { [own]: '3:cpuset:/\n2:cpu,cpuacct:/\n', ...v1('cpu,cpuacct', '200000\n') }],
  ['v1 without a quota', 0, { [own]: '2:cpu,cpuacct:/\n', ...v1('cpu,cpuacct', '-1\n') }],
  ['v1, mounted as cpu', 3, { [own]: '2:cpuacct,cpu:/\n', ...v1('cpu', '250000\n') }],
  ['v1, of a group above', 2, { [own]: '2:cpu:/a/b\n', ...v1('cpu/a', '200000\n') }],
  ['v1 of another controller', 0, { [own]: '2:cpuset:/\n', ...v1('cpuset', '200000\n') }],
  [
    'v1 beside an empty v2, as systemd mounts them',
    2,
    { [own]: '2:cpu,cpuacct:/a\n1:name=systemd:/a\n0::/a\n', ...v1('cpu,cpuacct/a', '200000\n') },
  ],
  ['half a file', 0, { [own]: '0::/\n', [v2('')]: '200000' }],
  ['a period of 0', 0, { [own]: '0::/\n', [v2('')]: '200000 0\n' }],
  ['other text', 0, { [own]: 'nothing\n:\n::\n0:\n', [v2('')]: 'a b c\n' }],
  ['more than any machine has', 2_000_000, { [own]: '0::/\n', [v2('')]: '2000000 1\n' }],
];

test.each(cases)('%s: %d', (_, expected, files) => {
  expect(quotaOf(files)).toBe(expected);
});
