import { describe, expect, test } from '@jest/globals';
import { simdTarget } from '../../lib/index.js';
import { run } from '../support/process.js';

/** What a process says on stderr that loads the library with these settings. */
const said = async (env: Record<string, string>) => {
  const { code, stderr } = await run('print-threads.mjs', {
    env: { WARPDICE_SIMD: '', WARPDICE_THREADS: '', ...env },
  });
  expect(code).toBe(0);
  return stderr;
};

describe('a setting that cannot be followed is said', () => {
  test.each(['avx1024', 'AVX2', 'sse'])('WARPDICE_SIMD=%s', async (simd) => {
    expect(await said({ WARPDICE_SIMD: simd })).toMatch(
      new RegExp(`WARPDICE_ENVIRONMENT.*for WARPDICE_SIMD but received "${simd}"; \\w+ is used`),
    );
  });

  test.each(['0', '-1', '257', '2.5', 'two', '2 '])('WARPDICE_THREADS=%s', async (threads) => {
    expect(await said({ WARPDICE_THREADS: threads })).toMatch(
      new RegExp(
        `WARPDICE_ENVIRONMENT.*Expected an integer from 1 to 256 for WARPDICE_THREADS but received "${threads}"; \\d+ are used`,
      ),
    );
  });
});

test.each(['0', '-1', '1.5', '2000000000', 'all'])('WARPDICE_ASYNC_MIB=%s', async (mib) => {
  expect(await said({ WARPDICE_ASYNC_MIB: mib })).toMatch(
    new RegExp(`WARPDICE_ENVIRONMENT.*Expected an integer from 1 to 2\\^30.*received "${mib}"`),
  );
});

test('a setting that is followed, or not there, is not', async () => {
  expect(await said({})).toBe('');
  expect(
    await said({ WARPDICE_THREADS: '3', WARPDICE_ASYNC_MIB: '64', WARPDICE_SIMD: simdTarget() }),
  ).toBe('');
});
