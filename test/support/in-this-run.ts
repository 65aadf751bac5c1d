// A part of a matrix of cases. `npm test` runs every ninth case of the large matrices, `npm run test:all` runs all of them, and
// WARPDICE_TEST_EVERY=n runs every nth. Each suite prints how many cases it left out.
import { afterAll, expect } from '@jest/globals';
import { PartOfCases, readEvery } from './part-of-cases.js';

const { WARPDICE_TEST_EVERY, WARPDICE_TEST_ALL } = process.env;
const part = new PartOfCases(readEvery(WARPDICE_TEST_EVERY) ?? (WARPDICE_TEST_ALL ? 1 : 9));

/** Whether the next case of the suite's matrices is to be run. */
export const inThisRun = (): boolean => part.next();

afterAll(() => {
  const summary = part.summary();
  if (summary === undefined) return;
  const suite = expect.getState().testPath?.split('/').at(-1);
  process.stdout.write(`${suite}: ${summary}\n`);
});
