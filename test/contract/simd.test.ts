// Every SIMD target that is compiled and that this processor runs, each forced in a process of its own: right results, and the same
// bits whatever the number of threads and the run.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { simdTarget } from '../../lib/index.js';
import { reference } from '../reference/reference.js';
import { type Case, gradOptions, makeCase, type Spec } from '../support/cases.js';
import { expectClose } from '../support/compare.js';
import { isCompiled } from '../support/compiled-targets.js';
import { inThisRun } from '../support/in-this-run.js';
import { runWell } from '../support/process.js';
import { expectSolution } from '../support/tolerance.js';

/** The target that this processor must get. Where Linux does not say, scripts/expected-target.mjs has asked. */
function bestTarget(): string {
  const { WARPDICE_TEST_TARGET } = process.env;
  if (WARPDICE_TEST_TARGET) return WARPDICE_TEST_TARGET;
  if (process.arch === 'arm64') return 'neon';
  const cpuinfo = process.platform === 'linux' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  if (/\bavx512vl\b/.test(cpuinfo)) return 'avx512';
  return /\bavx2\b/.test(cpuinfo) ? 'avx2' : 'baseline';
}
const best = bestTarget();
const targets = {
  baseline: best !== 'neon',
  avx2: best.startsWith('avx') && isCompiled('avx2'),
  avx512: best === 'avx512',
  neon: best === 'neon',
};

const specs: Spec[] = [];
for (const dtype of ['float32', 'float64', 'float16', 'bfloat16'] as const)
  for (const layout of ['channels-first', 'channels-last'] as const)
    for (const activation of ['none', 'sigmoid', 'softmax'] as const)
      for (const C of [1, 2, 3, 4, 5, 8, 9, 19])
        for (const S of [1, 15, 16, 33, 63, 64, 65, 257]) {
          if (C === 1 && activation === 'softmax') continue;
          if (!inThisRun()) continue;
          const target = (C + S) % 2 ? 'labels' : 'dense';
          const ignoring = target === 'labels' && S % 2 ? { ignoreIndex: 200 } : {};
          const weight = S % 3 === 0 ? ({ weight: 'float32' } as const) : {};
          const options = { activation, layout, ...ignoring };
          specs.push({
            dtype,
            N: 2,
            C,
            spatial: [S],
            target,
            options,
            ignored: 0.2,
            gradScale: 64,
            ...weight,
          });
        }

let cases: Case[];
let folder: string;
let input: string;
beforeAll(() => {
  cases = specs.map(makeCase);
  folder = mkdtempSync(path.join(tmpdir(), 'warpdice-'));
  input = path.join(folder, 'problems');
  const problems = cases.map((c) => ({
    loss: c.problem.loss,
    lossOptions: c.spec.options,
    predictions: c.predictions,
    target: c.target,
    options: gradOptions(c),
  }));
  writeFileSync(input, serialize(problems));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Results {
  target: string;
  different: string[];
  results: Record<string, { value: number; perClass: number[]; largest: number; sample: number[] }>;
}
let first: Results | undefined;

for (const [target, available] of Object.entries(targets)) {
  (available ? describe : describe.skip)(target, () => {
    const env = { WARPDICE_SIMD: target };

    test('agrees with the reference', async () => {
      const output = path.join(folder, target);
      await runWell('solve.mjs', { args: [input, output], env });
      const { target: used, solutions } = deserialize(readFileSync(output));
      expect(used).toBe(target);
      expect(solutions.length).toBe(specs.length);
      cases.forEach((c, i) => {
        try {
          expectSolution(solutions[i], reference(c.problem), c.spec.dtype ?? 'float32');
        } catch (error) {
          throw new Error(`${JSON.stringify(c.spec)}: ${(error as Error).message}`);
        }
      });
    });

    test('gives the same bits with 1, 2 and 7 threads, and agrees with the other targets', async () => {
      const found = JSON.parse(await runWell('determinism.mjs', { env })) as Results;
      expect(found.target).toBe(target);
      expect(found.different).toEqual([]);
      expect(Object.keys(found.results).length).toBe(6);
      first ??= found;
      for (const [name, result] of Object.entries(found.results)) {
        const other = first.results[name] as typeof result;
        const close = (x: number) => 2e-6 * Math.max(Math.abs(x), 0.1); // each is within half of the true value
        expectClose(`${name}: value`, [result.value], [other.value], close);
        expectClose(`${name}: perClass`, result.perClass, other.perClass, close);
        expectClose(`${name}: grad`, result.sample, other.sample, 2e-5 * other.largest);
        expect(other.largest).toBeGreaterThan(0);
      }
    });
  });
}

test('the best target that this processor has is chosen, or the one that is asked for', () => {
  expect(simdTarget()).toBe(process.env.WARPDICE_SIMD || best);
});
