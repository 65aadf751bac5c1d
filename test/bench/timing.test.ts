// The turns of the benchmark: who runs when, how often, and what is made of the times. All times are made up, and no test waits for them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { type Group, groups } from '../../bench/cases/cases.js';
import { type RowTimes, timeRows } from '../../bench/measure/rows.js';
import { caseResults } from '../../bench/measure/times.js';
import { interleave, ratio, summarize, type Timed } from '../../bench/measure/timing.js';
import { isBusy, stateOf, untilAtRest } from '../../bench/peers/rest.js';

describe('turns', () => {
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
});

// From the rounds of a shape's visits to the results of its cases.
describe('results of the rounds', () => {
  const row = (name: string, times: number[], owner = 0): RowTimes => ({ owner, name, times });
  /** Copies of so many ms, exponentials, and our call on the cases of the group. */
  const visit = (copy: number, exp: number, ...calls: number[]) => [
    row('memcpy', [9 * copy, 9 * copy]),
    row('non-temporal copy', [copy, copy]),
    row('exp', [exp, exp]),
    ...calls.map((ms, owner) => row('valueAndGrad', [ms, 2 * ms, 3 * ms], owner)),
  ];
  const softmax = groups.find(({ name }) => name === '[4,4,512,512] softmax') as Group;
  const groupOf = (...names: string[]): Group => ({
    ...softmax,
    cases: softmax.cases.filter(({ name }) => names.includes(name)),
  });
  const medians = (...visits: RowTimes[][]) =>
    caseResults(groupOf('float32, labels'), visits).map(({ calls }) => calls.at(-1)?.ms.median);

  test('what is wrong is named and never timed; the others take turns', async () => {
    const runs: string[] = [];
    const rows = ['right', 'false', 'last'].map((name) => ({
      name,
      owner: 0,
      run: () => void runs.push(name),
      fault: () => (name === 'false' ? 'value 2 instead of 1' : undefined),
    }));
    const found = await timeRows(rows, 2, { seconds: 0, leastRounds: 1 });
    expect(found.map(({ name, fault, times }) => [name, fault, times.length])).toEqual([
      ['right', undefined, 1],
      ['false', 'value 2 instead of 1', 0],
      ['last', undefined, 1],
    ]);
    expect(new Set(runs)).toEqual(new Set(['right', 'last']));
  });

  test('the visit with the faster copy and exponentials counts, whatever our call took', () => {
    expect(medians(visit(1, 1, 9), visit(2, 1, 1))).toEqual([18]);
    expect(medians(visit(1, 2, 9), visit(1, 1, 8))).toEqual([16]);
    expect(medians(visit(1, 1, 9))).toEqual([18]);
    expect(medians()).toEqual([]);
  });

  test('ratios within each round: to the faster copy, and to the first case of the shape', () => {
    const [, half] = caseResults(groupOf('float32, labels', 'float16, labels'), [
      [...visit(1, 1, 4, 2), row('memcpy', [2, 4, 2], 1)],
    ]);
    expect(half).toMatchObject({ case: 'float16, labels', calls: [{ name: 'valueAndGrad' }, {}] });
    expect(half?.calls[0]).toMatchObject({ toCopy: { median: 1 }, toBase: { median: 0.5 } });
  });

  test('another loss has the tensors of the first case, and its copies', () => {
    const [, jaccard] = caseResults(groupOf('float32, labels', 'Jaccard'), [
      [...visit(1, 1, 4), row('valueAndGrad', [6, 6], 1)],
    ]);
    expect(jaccard?.calls).toMatchObject([{ toCopy: { median: 6 } }]);
  });

  test('a wrong result in any visit is a fault of the case, and has no times', () => {
    const wrong = [...visit(9, 9), { owner: 0, name: 'valueAndGrad', times: [], fault: 'wrong' }];
    for (const visits of [
      [visit(1, 1, 2), wrong],
      [wrong, visit(1, 1, 2)],
    ]) {
      const [result] = caseResults(groupOf('float32, labels'), visits);
      expect(result?.faults).toEqual(['valueAndGrad: wrong']);
      expect(result?.calls.map(({ name }) => name)).not.toContain('valueAndGrad');
    }
  });
});

// Peers whose threads spin on after their work are waited for.
describe('threads that spin on', () => {
  test('the state follows the name, which may hold brackets and blanks', () => {
    expect(stateOf('12 (node) S 1 12')).toBe('S');
    expect(stateOf('12 (a) R (b) D 1 12')).toBe('D');
  });

  test('a process that spins is busy; of one that ended nothing is known', async () => {
    const program = "process.stdout.write('spins'); for (;;);";
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] });
    const pid = child.pid as number;
    await once(child.stdout, 'data');
    expect(isBusy(pid)).toBe(existsSync('/proc/self/task') ? true : undefined);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isBusy(pid)).toBeUndefined();
  });

  test('it is waited for until two looks in a row find it at rest', async () => {
    const looks = [true, false, true, false, false, true];
    await untilAtRest(0, () => looks.shift());
    expect(looks).toEqual([true]);
  });
});
