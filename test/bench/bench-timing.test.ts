// The turns of the benchmark: who runs when, how often, and what is made of the times.

import { setTimeout } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { interleave, ratio, summarize, type Timed } from '../../bench/timing.js';

/** Pretends that a call takes `ms`, and writes down each sample. */
function fake(name: string, ms: number, log: string[]): Timed {
  return {
    enter: () => void log.push(`${name} enters`),
    leave: () => void log.push(`${name} leaves`),
    time: async (calls) => {
      log.push(`${name} ${calls}`);
      return ms * calls;
    },
  };
}

const silent = () => undefined;

test('contenders take turns; a turn is 5 ms of untimed samples and a timed one, of as many calls as fill it', async () => {
  const log: string[] = [];
  const contenders = [fake('A', 0.05, log), fake('B', 1, log), fake('C', 200, log)];
  const times = await interleave(contenders, { seconds: 5, leastRounds: 2 }, silent); // all rounds there are
  expect(times.map((own) => [...new Set(own)])).toEqual([[0.05], [1], [200]]);
  const turn = (name: string, calls: number, samples: number) => [
    `${name} enters`,
    ...Array<string>(samples).fill(`${name} ${calls}`),
    `${name} leaves`,
  ];
  const round = [
    ...turn('A', 8, 13 + 1), // 8 * 0.05 ms are the first to fill 0.3 ms, 13 * 0.4 ms the first to fill 5 ms
    ...turn('B', 1, 5 + 1),
    ...turn('C', 1, 1 + 1),
  ];
  expect(log.slice(-2 * round.length)).toEqual([...round, ...round]);
});

test('a sample has as many calls as the shortest of them ask for, whatever interrupts the others', async () => {
  const asked: number[] = [];
  const contender: Timed = {
    time: async (calls) => {
      asked.push(calls);
      return asked.length === 1 ? 0.05 : 100;
    },
  };
  await interleave([contender], { seconds: 0.01, leastRounds: 1 }, silent);
  expect(asked.at(-1)).toBe(8); // 8 * 0.05 ms fill 0.3 ms
});

test('a contender that starts its turn with cold caches is timed when they are warm', async () => {
  let samples = 0;
  const inTurns: number[] = [];
  const contender: Timed = {
    enter: () => {
      samples = 0;
    },
    time: async () => (samples++ < 2 ? 3 : 1),
    leave: () => void inTurns.push(samples),
  };
  const [times] = await interleave([contender], { seconds: 0.01, leastRounds: 3 }, silent);
  expect(new Set(times)).toEqual(new Set([1]));
  expect(new Set(inTurns.slice(1))).toEqual(new Set([2 + 1])); // 3 + 3 ms fill the untimed part; the first is the calibration
});

test('where threads go on spinning after a turn, the next turn waits for them', async () => {
  let spinning = false;
  const spins: Timed = {
    time: async () => {
      spinning = true;
      return 1000; // one sample a turn
    },
    rest: async () => {
      await setTimeout(5);
      spinning = false;
    },
  };
  const besides: boolean[] = [];
  const next: Timed = { time: async () => 1000 * besides.push(spinning) };
  await interleave([spins, next], { seconds: 0, leastRounds: 3 }, silent);
  expect(new Set(besides)).toEqual(new Set([false]));
});

test('a long call takes its turn without an untimed one', async () => {
  const log: string[] = [];
  const contenders = [fake('A', 1000, log)];
  const times = await interleave(contenders, { seconds: 0, leastRounds: 1 }, silent);
  expect(times).toEqual([[1000]]); // one round, though no time was given
  expect(log.slice(-3)).toEqual(['A enters', 'A 1', 'A leaves']);
});

test('rounds go on until the seconds are over, and no further than three times these', async () => {
  const slow: Timed = {
    run: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5),
  };
  const start = performance.now();
  const [times] = await interleave([slow], { seconds: 0.02, leastRounds: 400 }, silent);
  const rounds = times?.length as number;
  expect(rounds).toBeGreaterThan(1);
  expect(rounds).toBeLessThan(400);
  expect(performance.now() - start).toBeLessThan(1500); // 400 rounds would take 4 s
});

test('run() is timed where there is no time()', async () => {
  let runs = 0;
  const contender: Timed = {
    run: () => {
      runs++;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    },
  };
  const [times] = await interleave([contender], { seconds: 0.02, leastRounds: 3 }, silent);
  for (const ms of times as number[]) expect(ms).toBeGreaterThan(1.5);
  expect(runs).toBeGreaterThan(2 * Number(times?.length));
});

test('quartiles lie between the sorted values', () => {
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, q1: 1.75, q3: 3.25, samples: 4 });
  expect(summarize([5])).toEqual({ median: 5, min: 5, q1: 5, q3: 5, samples: 1 });
});

test('a ratio is taken within each round', () => {
  // The medians are 3 and 2; the rounds say 3, 2, 0.5.
  expect(ratio([3, 4, 1], [1, 2, 2]).median).toBe(2);
});
