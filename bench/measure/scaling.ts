// How the time of valueAndGrad grows: with threads, with voxels, with classes. float32 logits, uint8 labels.
//
//   threads    [4, 4, 512, 512] and [2, 3, 128, 128, 128], in turns
//   voxels     [1, 2, S], S from 1 to 2^27; the smallest show what a call costs from JavaScript
//   classes    [1, C, S] with C S about 2^22, C from 1 to 1000, in turns
//
// Each is checked, and stands beside a copy of its logits.
import os from 'node:os';
import { setThreads, simdTarget } from 'warpdice';
import { faultOf, solve } from '../cases/answer.js';
import { base, type Group } from '../cases/cases.js';
import { bytesOf, makeProblem, type Problem, sizesOf, wipe } from '../cases/problem.js';
import type { ScalingPoint, ScalingResult } from '../report/results.js';
import { threadCounts } from './machine.js';
import { loadPasses, type Passes } from './passes.js';
import { type Budget, interleave, summarize, type Timed } from './timing.js';

interface Place {
  readonly x: number;
  readonly shape: readonly number[];
  readonly threads: number;
}

const elementsOfClasses = 2 ** 22;
const classCounts = [
  1, 2, 3, 4, 5, 8, 9, 16, 17, 19, 32, 33, 64, 65, 100, 128, 150, 256, 500, 1000,
];

const powers = (from: number, to: number, step: number) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => 2 ** (from + i * step));

const groupOf = (C: number): Pick<Group, 'activation'> => ({
  activation: C === 1 ? 'sigmoid' : 'softmax',
});

export async function measureScaling(threads: number, quick: boolean): Promise<ScalingResult[]> {
  const seconds = quick ? 0.1 : 1;
  const budget = (times: number) => ({ seconds: seconds * times, leastRounds: quick ? 5 : 9 });
  const results: ScalingResult[] = [];
  for (const shape of [
    [4, 4, 512, 512],
    [2, 3, 128, 128, 128],
  ]) {
    console.error(`  threads, [${shape}]`);
    const places = threadCounts(os.availableParallelism()).map((x) => ({ x, shape, threads: x }));
    const points = await inTurns(places, budget(4));
    results.push({ name: 'threads', fixed: `[${shape}] softmax`, points });
  }
  const volumes = quick ? powers(0, 24, 4) : powers(0, 27, 1);
  const overVoxels: ScalingPoint[] = [];
  for (const S of volumes) {
    console.error(`  ${S} voxels`);
    overVoxels.push(...(await inTurns([{ x: S, shape: [1, 2, S], threads }], budget(1))));
  }
  results.push({ name: 'voxels', fixed: '[1, 2, S] softmax', points: overVoxels });
  console.error('  classes');
  const places = classCounts
    .filter((_, i) => !quick || i % 3 === 0)
    .map((C) => ({
      x: C,
      shape: [1, C, 1024 * Math.floor(elementsOfClasses / 1024 / C)],
      threads,
    }));
  const points = await inTurns(places, budget(10));
  results.push({ name: 'classes', fixed: '[1, C, S], C S about 2^22', points });
  return results;
}

/** The call and the copy of every place, checked and then timed in turns. */
async function inTurns(places: readonly Place[], budget: Budget): Promise<ScalingPoint[]> {
  const passes = loadPasses(1);
  const timed: Timed[] = [];
  const prepared = places.map(({ x, shape, threads }) => {
    const { N, C, S } = sizesOf(shape);
    const elements = N * C * S;
    const bytes = elements * (4 + 4) + N * S;
    if (bytes > os.freemem() / 2) {
      const skipped = `needs ${(bytes / 1e9).toFixed(1)} GB, over half of the free memory`;
      return { x, elements, skipped };
    }
    const problem = makeProblem(groupOf(C), base, shape);
    wipe(problem.out);
    callOf(problem)();
    const fault = faultOf(problem, solve(groupOf(C), shape, base.loss), problem.out, 1);
    if (fault) return { x, elements, fault };
    const enter = () => {
      setThreads(threads);
      passes.use(simdTarget(), threads);
    };
    timed.push({ enter, run: callOf(problem) }, { enter, run: copyOf(problem, passes) });
    return { x, elements, at: timed.length - 2 };
  });
  const times = await interleave(timed, budget);
  return prepared.map(({ at, ...point }) =>
    at === undefined
      ? point
      : { ...point, ms: summarize(times[at]), copyMs: summarize(times[at + 1]) },
  );
}

const callOf =
  ({ loss, logits, target, out }: Problem) =>
  () =>
    loss.valueAndGrad(logits, target, { out });

/** Around the caches where logits and gradient do not fit: the faster way there. */
function copyOf({ logits, out }: Problem, passes: Passes): () => void {
  const [from, to] = [bytesOf(logits.data), bytesOf(out.grad.data)];
  const streaming = from.length > 16 * 2 ** 20;
  return () => passes.copy(to, from, streaming);
}
