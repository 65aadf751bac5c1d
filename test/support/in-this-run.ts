// Parts of matrices of cases. `npm run test:all` runs all cases. Each suite prints how many it left out.
import { afterAll, expect } from '@jest/globals';
import { PartOfCases, readEvery } from './part-of-cases.js';

const { WARPDICE_TEST_EVERY, WARPDICE_TEST_ALL } = process.env;
/** Whether everything is to be run. */
export const allTests = Boolean(WARPDICE_TEST_ALL);
const every = readEvery(WARPDICE_TEST_EVERY) ?? (allTests ? 1 : undefined);
const parts: PartOfCases[] = [];

function partOf(n: number): () => boolean {
  const part = new PartOfCases(n);
  parts.push(part);
  return () => part.next();
}

/**
 * Says whether the next case of a large matrix is to be run: the first and every 31st in `npm test`, every nth with WARPDICE_TEST_EVERY=n.
 * As 31 is prime and no axis is that long, the cases have every value of every axis.
 */
export const newMatrix = (): (() => boolean) => partOf(every ?? 31);
/** The same, for all matrices of a suite together. */
export const inThisRun = newMatrix();

/** The same for another matrix, of which `npm test` alone leaves cases out: all but every nth. No axis may have a multiple of n values. */
export const everyNth = (n: number): (() => boolean) => partOf(every === undefined ? n : 1);

afterAll(() => {
  const suite = expect.getState().testPath?.split('/').at(-1);
  for (const part of parts) {
    const summary = part.summary();
    if (summary !== undefined) process.stdout.write(`${suite}: ${summary}\n`);
  }
});
