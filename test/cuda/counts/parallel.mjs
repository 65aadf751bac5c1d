// Counts cases on all processors.
import os from 'node:os';
import { Worker } from 'node:worker_threads';
import { titleOf } from './cases.mjs';

/** The rows of count() in the order of the cases, without what they were counted from. found(text): a row in words. */
export async function countAll({ cases, found, ...what }) {
  const workers = Math.min(os.availableParallelism(), cases.length);
  const shares = Array.from({ length: workers }, (_, k) =>
    cases.filter((_, i) => i % workers === k),
  );
  const rows = await Promise.all(
    shares.map(
      (share) =>
        new Promise((resolve, reject) => {
          const counted = [];
          const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
            workerData: { ...what, cases: share },
          });
          worker.on('message', ({ row, text }) => {
            counted.push(row);
            found(text);
          });
          worker.on('error', reject);
          worker.on('exit', () => resolve(counted));
        }),
    ),
  );
  const places = new Map(cases.map((one, i) => [titleOf(one), i]));
  return rows.flat().sort((a, b) => places.get(titleOf(a)) - places.get(titleOf(b)));
}
