// The bits of about 130 groups of results, as they were recorded for a compiler and a SIMD target. A change that is not meant to
// alter results must leave them as they are. One that is: `node test/contract/record-digests.mjs`, in a commit that says why.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { native } from '../../lib/native/load.js';
import { isCompiled } from '../support/compiled-targets.js';
import { allTests } from '../support/in-this-run.js';

type Digests = Record<string, string>;
const recorded: Record<string, Record<string, Digests>> = JSON.parse(
  readFileSync(path.join(__dirname, 'digests.json'), 'utf8'),
);
const ofCompiler = recorded[native.compiler()];
const cpuinfo = process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
/** What is compiled and this processor runs; decided here, not by the code under test. */
const runs: Record<string, boolean> = {
  baseline: process.arch === 'x64',
  avx2: /\bavx2\b/.test(cpuinfo) && isCompiled('avx2'),
  avx512: /\bavx512vl\b/.test(cpuinfo),
};

describe('the same bits as recorded', () => {
  for (const simd of Object.keys(runs)) {
    const able = ofCompiler?.[simd] !== undefined && runs[simd];
    const wanted = allTests || simd === native.simdTarget();
    if (able && !wanted) continue; // `npm run test:all` has them all, and all groups
    (able ? test : test.skip)(simd, () => {
      const script = path.join(__dirname, '../support/workers/print-digests.mjs');
      const dist = path.join(__dirname, '../../dist/index.js');
      const env = { ...process.env, WARPDICE_SIMD: simd };
      const args = [script, dist, allTests ? '1' : '19'];
      const { stdout, stderr, status } = spawnSync(process.execPath, args, {
        env,
        encoding: 'utf8',
      });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      const printed = JSON.parse(stdout);
      expect(printed.simd).toBe(simd);
      const all = Object.entries(ofCompiler?.[simd] ?? {});
      const computed = all.filter(([group]) => group in printed.digests);
      // A group that came later is recorded where a processor with this target has run it.
      expect(printed.digests).toMatchObject(Object.fromEntries(computed));
      expect(computed.length).toBeGreaterThan(allTests ? all.length - 1 : all.length / 20);
    });
  }
});
