// Settings of the process: the number of threads, and the environment variables that the library reads when it is loaded.
import { afterAll, describe, expect, test } from '@jest/globals';
import { DiceLoss, getThreads, setThreads, simdTarget } from '../../lib/index.js';
import { makeCase } from '../support/cases.js';
import { expectSameBits } from '../support/compare.js';
import { everyNth } from '../support/in-this-run.js';
import { run, runWell } from '../support/process.js';
import type { Typed } from '../support/tensors.js';

describe('threads', () => {
  const before = getThreads();
  afterAll(() => setThreads(before));

  test('setThreads is what getThreads says', () => {
    for (const count of [1, 3, 256, 2]) {
      setThreads(count);
      expect(getThreads()).toBe(count);
    }
  });

  test('the same bits with any number of threads, also more than there are processors', () => {
    const c = makeCase({ C: 4, spatial: [200_003], options: { activation: 'softmax' } });
    setThreads(1);
    const one = c.loss.valueAndGrad(c.predictions, c.target);
    for (const count of [2, 7, 64]) {
      setThreads(count);
      const many = c.loss.valueAndGrad(c.predictions, c.target);
      for (const name of ['value', 'perClass', 'grad'] as const) {
        expectSameBits(name, many[name].data as Typed['data'], one[name].data as Typed['data']);
      }
    }
  });

  test('a failed call leaves the threads ready', () => {
    setThreads(4);
    const c = makeCase({ C: 2, spatial: [200_003], options: { activation: 'softmax' } });
    const { value } = c.loss.value(c.predictions, c.target);
    const bad = { ...c.target, data: c.target.data.slice().fill(9 as never) as Typed['data'] };
    for (let i = 0; i < 20; i++)
      expect(() => c.loss.value(c.predictions, bad)).toThrow('400006 other values');
    expect(
      new DiceLoss({ activation: 'softmax' }).value(c.predictions, c.target).value.itemSync(),
    ).toBe(value.itemSync());
  });

  test('WARPDICE_THREADS sets the number at the start', async () => {
    for (const count of ['1', '5']) {
      expect(
        (await runWell('print-threads.mjs', { env: { WARPDICE_THREADS: count } })).trim(),
      ).toBe(count);
    }
  });
});

describe('the environment', () => {
  const some = everyNth(3); // each is a process
  /** What a process says on stderr that loads the library with these settings. */
  const said = async (env: Record<string, string>) => {
    const { code, stderr } = await run('print-threads.mjs', {
      env: { WARPDICE_SIMD: '', WARPDICE_THREADS: '', ...env },
    });
    expect(code).toBe(0);
    return stderr;
  };

  describe('a setting that cannot be followed is said', () => {
    test.each(['avx1024', 'AVX2', 'sse'].filter(some))('WARPDICE_SIMD=%s', async (simd) => {
      expect(await said({ WARPDICE_SIMD: simd })).toMatch(
        new RegExp(`WARPDICE_ENVIRONMENT.*for WARPDICE_SIMD but received "${simd}"; \\w+ is used`),
      );
    });

    test.each(['0', '-1', '257', '2.5', 'two', '2 '].filter(some))(
      'WARPDICE_THREADS=%s',
      async (threads) => {
        expect(await said({ WARPDICE_THREADS: threads })).toMatch(
          new RegExp(
            `WARPDICE_ENVIRONMENT.*Expected an integer from 1 to 256 for WARPDICE_THREADS but received "${threads}"; \\d+ are used`,
          ),
        );
      },
    );
  });

  test.each(['0', '-1', '1.5', '2000000000', 'all'].filter(some))(
    'WARPDICE_ASYNC_MIB=%s',
    async (mib) => {
      expect(await said({ WARPDICE_ASYNC_MIB: mib })).toMatch(
        new RegExp(`WARPDICE_ENVIRONMENT.*Expected an integer from 1 to 2\\^30.*received "${mib}"`),
      );
    },
  );

  test('a setting that is followed, or not there, is not', async () => {
    expect(await said({})).toBe('');
    expect(
      await said({ WARPDICE_THREADS: '3', WARPDICE_ASYNC_MIB: '64', WARPDICE_SIMD: simdTarget() }),
    ).toBe('');
  });
});
