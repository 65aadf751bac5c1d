// The turns of the benchmark: who runs when, how often, and what is made of the times. All times are made up: no test waits.
import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { interleave, ratio, summarize, type Timed } from '../../bench/measure/timing.js';

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
const oneRound = { seconds: 0, leastRounds: 1 };

test('contenders take turns; a turn is 5 ms of untimed samples and a timed one, of as many calls as fill it', async () => {
  const log: string[] = [];
  const contenders = [fake('A', 0.05, log), fake('B', 1, log), fake('C', 200, log)];
  const times = await interleave(contenders, { seconds: 0, leastRounds: 2 });
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
  expect(log.slice(-round.length)).toEqual(round);
});

test('a sample has as many calls as the shortest of them ask for, whatever interrupts the others', async () => {
  const asked: number[] = [];
  const time = async (calls: number) => (asked.push(calls) === 1 ? 0.05 : 100);
  await interleave([{ time }], oneRound);
  expect(asked.at(-1)).toBe(8); // 8 * 0.05 ms fill 0.3 ms
});

test('a contender that starts its turn with cold caches is timed when they are warm', async () => {
  let samples = 0;
  const contender: Timed = {
    enter: () => {
      samples = 0;
    },
    time: async () => (samples++ < 2 ? 3 : 1),
  };
  const [times] = await interleave([contender], { seconds: 0, leastRounds: 3 });
  expect(new Set(times)).toEqual(new Set([1])); // 3 + 3 ms are the untimed part
});

test('where threads go on spinning after a turn, the next turn waits for them', async () => {
  let spinning = false;
  const spins: Timed = {
    time: async () => {
      spinning = true;
      return 1000; // one sample a turn
    },
    rest: async () => {
      await setImmediate();
      spinning = false;
    },
  };
  const besides: boolean[] = [];
  const next: Timed = { time: async () => 1000 * besides.push(spinning) };
  await interleave([spins, next], oneRound);
  expect(new Set(besides)).toEqual(new Set([false]));
});

test('a long call takes its turn without an untimed one; there is a round even without time', async () => {
  const log: string[] = [];
  expect(await interleave([fake('A', 1000, log)], oneRound)).toEqual([[1000]]);
  expect(log.slice(-3)).toEqual(['A enters', 'A 1', 'A leaves']);
});

test('run() is timed where there is no time()', async () => {
  let runs = 0;
  const [times] = await interleave([{ run: () => void runs++ }], oneRound);
  expect(times?.[0]).toBeGreaterThan(0);
  expect(runs).toBeGreaterThan(1);
});

test('quartiles lie between the sorted values; a ratio is taken within each round', () => {
  expect(summarize([4, 1, 3, 2])).toEqual({ median: 2.5, q1: 1.75, q3: 3.25, samples: 4 });
  expect(summarize([5])).toEqual({ median: 5, q1: 5, q3: 5, samples: 1 });
  expect(ratio([3, 4, 1], [1, 2, 2]).median).toBe(2); // the medians are 3 and 2; the rounds say 3, 2, 0.5
});
