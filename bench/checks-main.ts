// npm run bench:checks: how much longer step 1 without an activation takes because it looks for values outside [0, 1]. On one thread,
// the same loops with and without the look take turns; the fastest round of each counts.
import { Tensor } from 'warpdice';
import { Random } from '../test/support/random.js';
import { describeMachine } from './measure/machine.js';
import { loadPasses } from './measure/passes.js';
import { isThere } from './measure/processes.js';
import { machineText } from './report/tables.js';

const targets = ['avx512', 'avx2', 'baseline', 'neon'];
/** [C, S]: in the first-level cache, in the second, in the third, beyond. */
const shapes: readonly [number, number][] = [
  [4, 1024],
  [4, 16_384],
  [4, 262_144],
  [4, 4_194_304],
];
function seconds(run: () => void, repeats: number): number {
  const begin = process.hrtime.bigint();
  for (let i = 0; i < repeats; i++) run();
  return Number(process.hrtime.bigint() - begin) / 1e9 / repeats;
}

const passes = loadPasses(1);
const random = new Random(1);
console.log(machineText(describeMachine()));
console.log('time with the check / time without it, and ns without it');
for (const simd of targets) {
  if (!isThere(simd)) continue;
  passes.use(simd, 1);
  for (const [C, S] of shapes) {
    const floats = () => {
      const data = Tensor.empty([C * S]).data as Float32Array;
      for (let i = 0; i < data.length; i++) data[i] = random.integer(1025) / 1024;
      return data;
    };
    const p = floats();
    const ofKind = { dense: floats(), labels: new Uint8Array(S).map(() => random.integer(C)) };
    for (const [kind, target] of Object.entries(ofKind)) {
      const repeats = Math.ceil(2 ** 18 / (C * S));
      const rounds = C * S < 2 ** 22 ? 200 : 20;
      const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
      for (let round = 0; round < rounds; round++) {
        for (const checks of [0, 1]) {
          const run = () => passes.plainSums(p, target, C, checks === 1);
          best[checks] = Math.min(best[checks], seconds(run, repeats));
        }
      }
      const ratio = (best[1] / best[0]).toFixed(3);
      console.log(
        `${simd.padEnd(9)}[${C}, ${S}]`.padEnd(24),
        kind.padEnd(7),
        ratio,
        (best[0] * 1e9).toFixed(0),
      );
    }
  }
}
