// A part of a matrix of cases. `npm test` runs every fifth case of the large matrices, `npm run test:all` runs all of them, and
// WARPDICE_TEST_EVERY=n runs every nth. Each suite prints how many cases it left out.
import { afterAll, expect } from '@jest/globals';

const every = Number(process.env.WARPDICE_TEST_EVERY ?? (process.env.WARPDICE_TEST_ALL ? 1 : 5));
let cases = 0;
let run = 0;

/** Whether the next case of the suite's matrices is to be run. */
export function inThisRun(): boolean {
  const isRun = cases++ % every === 0;
  if (isRun) run++;
  return isRun;
}

afterAll(() => {
  if (run === cases) return;
  const suite = expect.getState().testPath?.split('/').at(-1);
  process.stdout.write(`${suite}: every ${every}th case, ${run} of ${cases}\n`);
});
