// How the time of valueAndGrad grows: with threads, with voxels, with classes. float32 logits, uint8 labels.
//
//   threads    [4, 4, 512, 512] and [2, 3, 128, 128, 128], in turns
//   voxels     [1, 2, S], S from 1 to 2^27; the smallest show what a call costs from JavaScript
//   classes    [1, C, S] with C S about 2^22, C from 1 to 1000, in turns
//
// Multiples of 2^20 voxels repeat one volume of that size, so that their answer is its answer: the same value, the gradient divided by the
// number of repetitions. Each stands beside a copy of its logits.
import os from 'node:os';
import { setThreads, Tensor } from 'warpdice';
import { native } from '../dist/native/load.js';
import { base, type Group } from './cases.js';
import { type Answer, faultOf, solve } from './check.js';
import { threadCounts } from './pin.js';
import { bytesOf, makeProblem, type Problem, wipe } from './problem.js';
import type { ScalingPoint, ScalingResult } from './results.js';
import { type Budget, interleave, summarize, type Timed } from './timing.js';

interface Place {
  readonly x: number;
  readonly shape: readonly number[];
}

const repeatedVoxels = 2 ** 20;
const elementsOfClasses = 2 ** 22;
const classCounts = [
  1, 2, 3, 4, 5, 8, 9, 16, 17, 19, 32, 33, 64, 65, 100, 128, 150, 256, 500, 1000,
];

const powers = (from: number, to: number, step: number) =>
  Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => 2 ** (from + i * step));

function seriesOf(quick: boolean): { volumes: Place[]; classes: Place[] } {
  const volumes = quick ? powers(0, 24, 4) : powers(0, 27, 1);
  const classes = quick ? classCounts.filter((_, i) => i % 3 === 0) : classCounts;
  return {
    volumes: volumes.map((S) => ({ x: S, shape: [1, 2, S] })),
    classes: classes.map((C) => ({ x: C, shape: [1, C, Math.floor(elementsOfClasses / C)] })),
  };
}

const groupOf = (C: number): Pick<Group, 'activation'> => ({
  activation: C === 1 ? 'sigmoid' : 'softmax',
});

export async function measureScaling(
  threads: number,
  quick: boolean,
  progress: (stage: string, share: number) => void,
): Promise<ScalingResult[]> {
  const budget: Budget = quick ? { seconds: 0.1, leastRounds: 5 } : { seconds: 1, leastRounds: 9 };
  const results: ScalingResult[] = [];
  for (const shape of [
    [4, 4, 512, 512],
    [2, 3, 128, 128, 128],
  ]) {
    progress('threads', 0);
    results.push(await overThreads(shape, { ...budget, seconds: 4 * budget.seconds }));
  }
  const { volumes, classes } = seriesOf(quick);
  const measured: ScalingPoint[] = [];
  for (const [i, point] of volumes.entries()) {
    progress('voxels', i / volumes.length);
    measured.push(...(await measurePoints([point], threads, budget)));
  }
  results.push({ name: 'voxels', fixed: '[1, 2, S] softmax', points: measured });
  // Small enough to take turns: each is compared with its neighbours.
  progress('classes', 0);
  results.push({
    name: 'classes',
    fixed: '[1, C, S], C S about 2^22',
    points: await measurePoints(classes, threads, { ...budget, seconds: 10 * budget.seconds }),
  });
  return results;
}

async function overThreads(shape: readonly number[], budget: Budget): Promise<ScalingResult> {
  const C = Number(shape[1]);
  const problem = makeProblem(groupOf(C), base, shape);
  const elements = problem.logits.size;
  const counts = threadCounts(os.availableParallelism());
  const fault = checked(problem, solve(groupOf(C), shape, base.loss), 1);
  const copyBytes = copyOf(problem);
  const contenders = counts.flatMap((count) => {
    const enter = () => setThreads(count);
    return [
      { enter, run: callOf(problem) },
      { enter, run: copyBytes },
    ];
  });
  const times = fault ? [] : await interleave(contenders, budget, () => undefined);
  return {
    name: 'threads',
    fixed: `[${shape}] softmax`,
    points: counts.map((count, i) => ({
      x: count,
      elements,
      ...(fault ? { fault } : { ms: summarize(times[2 * i]), copyMs: summarize(times[2 * i + 1]) }),
    })),
  };
}

async function measurePoints(
  points: readonly Place[],
  threads: number,
  budget: Budget,
): Promise<ScalingPoint[]> {
  setThreads(threads);
  const timed: Timed[] = [];
  const prepared = points.map(({ x, shape }) => {
    const [N = 1, C = 1, S = 1] = shape;
    const elements = N * C * S;
    const bytes = elements * (4 + 4) + S;
    if (bytes > os.freemem() / 2) {
      const skipped = `needs ${(bytes / 1e9).toFixed(1)} GB, over half of the free memory`;
      return { x, elements, skipped };
    }
    const times = S % repeatedVoxels === 0 ? S / repeatedVoxels : 1;
    const small = [N, C, S / times];
    const problem = repeated(makeProblem(groupOf(C), base, small), times);
    const fault = checked(problem, solve(groupOf(C), small, base.loss), times);
    if (fault) return { x, elements, fault };
    timed.push({ run: callOf(problem) }, { run: copyOf(problem) });
    return { x, elements, at: timed.length - 2 };
  });
  const times = await interleave(timed, budget, () => undefined);
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
function copyOf({ logits, out }: Problem): () => void {
  const [from, to] = [bytesOf(logits.data), bytesOf(out.grad.data)];
  const streaming = from.length > 16 * 2 ** 20;
  return () => native.copy(to, from, streaming);
}

/** The volume so many times behind itself. */
export function repeated(problem: Problem, times: number): Problem {
  if (times === 1) return problem;
  const { C, S, logits, target, out } = problem;
  const large = Tensor.empty([logits.size * times]).data as Float32Array;
  const labels = new Uint8Array(S * times);
  for (let k = 0; k < times; k++) {
    labels.set(target.data as Uint8Array, k * S);
    for (let c = 0; c < C; c++) {
      const row = (logits.data as Float32Array).subarray(c * S, (c + 1) * S);
      large.set(row, c * S * times + k * S);
    }
  }
  const shape = [1, C, S * times];
  const grad = Tensor.empty(shape);
  grad.data.fill(1 as never); // its pages exist
  return {
    ...problem,
    S: S * times,
    logits: Tensor.from(large, shape),
    target: Tensor.from(labels, [1, S * times]),
    out: { ...out, grad },
  };
}

/** Runs once; every repetition must have the gradient of the small volume, over their number. */
export function checked(problem: Problem, answer: Answer, times: number): string | undefined {
  const { C, S, out } = problem;
  wipe(out);
  callOf(problem)();
  if (times === 1) return faultOf(problem, answer, out, 1);
  const part = S / times;
  const grad = out.grad.data as Float32Array;
  for (let k = 0; k < times; k++) {
    const one = new Float32Array(C * part);
    for (let c = 0; c < C; c++) {
      const row = grad.subarray(c * S + k * part, c * S + (k + 1) * part);
      for (let s = 0; s < part; s++) one[c * part + s] = row[s] * times;
    }
    const shape = [1, C, part];
    const outputs = { value: out.value, grad: Tensor.from(one, shape) };
    const fault = faultOf({ ...problem, S: part }, answer, outputs, 1);
    if (fault) return `repetition ${k}: ${fault}`;
  }
  return undefined;
}
