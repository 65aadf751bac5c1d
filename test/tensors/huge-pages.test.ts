// Tensors of 4 MB and more ask for huge pages, however they are made.
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { runWell } from '../support/process.js';

/** QEMU, which shows the processor that it runs on, has memory of its own among that of the process, and asks for none. */
const emulated = () =>
  process.arch === 'arm64' && !readFileSync('/proc/cpuinfo', 'latin1').includes('CPU implementer');

/** Wine shows Linux' files to Node for Windows. */
const onLinux =
  process.platform === 'linux' && existsSync('/sys/kernel/mm/transparent_hugepage') && !emulated();
const linuxTest = onLinux ? test : test.skip;

linuxTest('large tensors ask for huge pages, small ones do not', async () => {
  const asked = JSON.parse(await runWell('huge-pages.mjs')) as number[];
  const grown = asked.map((bytes, i) => bytes - (asked[i - 1] ?? 0));
  expect(grown.slice(0, 2)).toEqual([0, 0]);
  // But for the pages that they share with their neighbours.
  for (const bytes of grown.slice(2)) expect(bytes).toBeGreaterThanOrEqual((1 << 22) - 8192);
});
