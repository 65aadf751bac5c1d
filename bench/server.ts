// A training server in small: several callers at once in one process, each with tensors of its own, and one event loop to keep
// alive. What counts is how many steps are done in all, and how late the event loop is meanwhile.
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { setThreads, Tensor } from 'warpdice';
import { base } from './cases.js';
import { faultOf, solve } from './check.js';
import { makeProblem, type Problem, wipe } from './problem.js';
import type { ServerResult } from './results.js';

/** A step of every caller: a batch of small images. */
export const serverShape = [4, 4, 128, 128];
const group = { activation: 'softmax' as const };
const tickMs = 1;

export async function measureServer(
  threads: number,
  quick: boolean,
  progress: (stage: string, share: number) => void,
): Promise<ServerResult[]> {
  setThreads(threads);
  const seconds = quick ? 0.5 : 2;
  const answer = solve(group, serverShape, base.loss);
  const results: ServerResult[] = [];
  const measure = async (name: string, run: () => Promise<number>) => {
    progress(name, results.length / 7);
    const delay = monitorEventLoopDelay({ resolution: tickMs });
    delay.enable();
    const start = performance.now();
    const steps = await run();
    delay.disable();
    const elapsed = (performance.now() - start) / 1000;
    const ms = (nanoseconds: number) => nanoseconds / 1e6;
    results.push({
      name,
      stepsPerSecond: steps / elapsed,
      delayMs: {
        median: ms(delay.percentile(50)),
        p99: ms(delay.percentile(99)),
        max: ms(delay.max),
      },
    });
  };

  await measure('nothing but the event loop', async () => {
    await setTimeout(seconds * 1000);
    return 0;
  });
  const own = problems(4);
  for (const problem of own) {
    wipe(problem.out);
    step(problem);
    const fault = faultOf(problem, answer, problem.out, 1);
    if (fault) return [...results, { name: 'a step', fault }];
  }
  await measure('valueAndGrad in the main thread', () => inTurns(own.slice(0, 1), seconds, false));
  await measure('valueAndGradAsync, 1 at a time', () => inTurns(own.slice(0, 1), seconds, true));
  await measure('valueAndGradAsync, 4 at a time', () => inTurns(own, seconds, true));
  for (const count of [1, 2, 4]) {
    const workers = await startWorkers(count);
    await measure(`valueAndGrad in worker_threads: ${count}`, () => inWorkers(workers, seconds));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}

export const step = ({ loss, logits, target, out }: Problem) =>
  loss.valueAndGrad(logits, target, { out });

/** On shared memory, which asynchronous calls use in place. */
export function problems(count: number): Problem[] {
  return Array.from({ length: count }, () => {
    const { logits, target, out, ...rest } = makeProblem(group, base, serverShape);
    const shared = (tensor: Tensor) => {
      const copy = Tensor.empty(tensor.shape, tensor.dtype);
      (copy.data as Float32Array).set(tensor.data as Float32Array);
      return copy;
    };
    return {
      ...rest,
      logits: shared(logits),
      target: shared(target),
      out: {
        value: shared(out.value),
        perClass: shared(out.perClass),
        grad: shared(out.grad),
      },
    };
  });
}

/** Every problem steps until the time is over, the event loop in between; how many steps. */
async function inTurns(
  own: readonly Problem[],
  seconds: number,
  asynchronous: boolean,
): Promise<number> {
  const end = performance.now() + seconds * 1000;
  const loop = async ({ loss, logits, target, out }: Problem) => {
    let steps = 0;
    for (; performance.now() < end; steps++) {
      if (asynchronous) await loss.valueAndGradAsync(logits, target, { out });
      else loss.valueAndGrad(logits, target, { out });
      await setImmediate();
    }
    return steps;
  };
  const steps = await Promise.all(own.map(loop));
  return steps.reduce((sum, count) => sum + count, 0);
}

async function startWorkers(count: number): Promise<Worker[]> {
  const file = fileURLToPath(new URL('server-worker.js', import.meta.url));
  const workers = Array.from({ length: count }, () => new Worker(file));
  await Promise.all(workers.map((worker) => once(worker, 'message'))); // ready
  return workers;
}

async function inWorkers(workers: readonly Worker[], seconds: number): Promise<number> {
  const steps = workers.map(async (worker) => {
    worker.postMessage(seconds);
    const [count] = (await once(worker, 'message')) as [number];
    return count;
  });
  return (await Promise.all(steps)).reduce((sum, count) => sum + count, 0);
}
