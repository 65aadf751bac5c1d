// Interleaved timing: every round gives each contender one turn, so that what disturbs the machine disturbs all alike, and the
// ratio of two contenders is taken within the round.
import { setImmediate } from 'node:timers/promises';

export interface Timed {
  /** Runs once. */
  run?(): void;
  /** Instead of run(): milliseconds of so many calls, timed where they run. */
  time?(calls: number): Promise<number>;
  /** Before and after each turn; not timed. */
  enter?(): void;
  leave?(): void;
  /** Ends when its threads spin no more after a turn, so that the next has the processors. */
  rest?(): Promise<void>;
}

/** Rounds until the seconds are over, but at least so many; three times the seconds end it all the same, after one round at least. */
export interface Budget {
  readonly seconds: number;
  readonly leastRounds: number;
}

const sampleMs = 0.3; // a sample of a short call is as many calls as fill this
const warmUpMs = 20;
const untimedMs = 5; // after 200 MB of other rows a call on what a cache holds becomes faster for as long (measured: README.md)
const longMs = 250; // such a call leaves the caches as it wants them within itself
const mostRounds = 500;

/** Milliseconds per run: [contender][round]. */
export async function interleave(
  contenders: readonly Timed[],
  { seconds, leastRounds }: Budget,
): Promise<number[][]> {
  const samples: { calls: number; ms: number }[] = [];
  for (const contender of contenders) samples.push(await calibrate(contender));
  const times: number[][] = contenders.map(() => []);
  const start = performance.now();
  for (let round = 0; round < mostRounds; round++) {
    const elapsed = (performance.now() - start) / 1000;
    const over = elapsed > seconds && (round >= leastRounds || elapsed > 3 * seconds);
    if (over && round > 0) break;
    for (const [i, contender] of contenders.entries()) {
      const { calls, ms } = samples[i];
      contender.enter?.();
      if (ms < longMs) await warm(contender, calls);
      times[i].push(await time(contender, calls));
      contender.leave?.();
      await contender.rest?.();
    }
    await setImmediate();
  }
  return times;
}

/**
 * The number of runs that fill a sample, found after a warm-up in which V8's compilers settle, and the time of one. The shortest
 * counts: one call that another program interrupts must not make a sample of single calls, each with the cost of a turn's start.
 */
async function calibrate(contender: Timed): Promise<{ calls: number; ms: number }> {
  contender.enter?.();
  const end = performance.now() + warmUpMs;
  let ms = Infinity;
  do ms = Math.min(ms, await time(contender, 1));
  while (performance.now() < end);
  let calls = 1;
  while (ms * calls < sampleMs) {
    calls *= 2;
    ms = Math.min(ms, await time(contender, calls));
  }
  contender.leave?.();
  await contender.rest?.();
  return { calls, ms };
}

/** Untimed samples, one at least: each contender finds the caches as it leaves them itself, not as its neighbour does. */
async function warm(contender: Timed, calls: number): Promise<void> {
  let spentMs = 0;
  do spentMs += calls * (await time(contender, calls));
  while (spentMs < untimedMs);
}

/** Milliseconds per run. */
async function time(contender: Timed, calls: number): Promise<number> {
  if (contender.time) return (await contender.time(calls)) / calls;
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i++) contender.run?.();
  return Number(process.hrtime.bigint() - start) / 1e6 / calls;
}

export interface Spread {
  readonly median: number;
  readonly q1: number;
  readonly q3: number;
}

export interface Summary extends Spread {
  readonly samples: number;
}

export function summarize(values: readonly number[]): Summary {
  return { ...spreadOf(values), samples: values.length };
}

/** The ratio within each round. */
export function ratio(times: readonly number[], to: readonly number[]): Spread {
  return spreadOf(times.map((time, round) => time / to[round]));
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const quantile = (q: number) => {
    const at = q * (sorted.length - 1);
    const below = sorted[Math.floor(at)];
    return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at));
  };
  return { median: quantile(0.5), q1: quantile(0.25), q3: quantile(0.75) };
}
