// Part of a matrix, for runs whose cases are slow, or repeat on another SIMD target what the whole matrix has shown: with
// WARPDICE_TEST_EVERY=5 every fifth case is run, and each suite says how many it left out.
import { afterAll, expect } from '@jest/globals';

const every = Number(process.env.WARPDICE_TEST_EVERY ?? 1);
let cases = 0;
let run = 0;

/** Whether the next case of the suite's matrices is to be run. */
export function due(): boolean {
  const isDue = cases++ % every === 0;
  if (isDue) run++;
  return isDue;
}

afterAll(() => {
  if (run === cases) return;
  const suite = expect.getState().testPath?.split('/').at(-1);
  process.stdout.write(`${suite}: every ${every}th case, ${run} of ${cases}\n`);
});
