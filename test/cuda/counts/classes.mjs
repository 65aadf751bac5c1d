// The counts of every number of classes from 1 to 1000: classes.json, and how much they change from one to the next.
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { everyClass, titleOf } from './cases.mjs';

const file = path.join(import.meta.dirname, 'classes.json');

/** Writes those of rows that are such counts: { statistics, gradient }, instructions an element with 1, 2, 3 ... classes. */
export function writeClasses(rows) {
  const places = new Map(everyClass.map((one) => [titleOf(one), one.classes - 1]));
  const counts = { statistics: [], gradient: [] };
  for (const row of rows) {
    const place = places.get(titleOf(row));
    if (place !== undefined) counts[row.kernel][place] = row.instructionsPerElement;
  }
  const lines = (all) =>
    all
      .map((n, i) => `${i % 20 === 0 ? '\n    ' : ' '}${n}${i + 1 < all.length ? ',' : '\n'}`)
      .join('');
  const parts = Object.entries(counts).map(([kernel, all]) => `  "${kernel}": [${lines(all)}  ]`);
  writeFileSync(file, `{\n${parts.join(',\n')}\n}\n`);
  return counts;
}

/** Each change from one class to the next: { to, change }, where 0.5 is half as many more and -0.5 half as many. */
export function stepsOf(counts) {
  return counts.slice(1).map((count, i) => ({ to: i + 2, change: count / counts[i] - 1 }));
}
