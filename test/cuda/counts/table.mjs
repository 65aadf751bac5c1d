// The committed table of counts, and what may change in it.
import path from 'node:path';
import { titleOf } from './cases.mjs';

export const tablePath = path.join(import.meta.dirname, 'counts.json');

const mostRise = 1.03;

/** What names a row: all but its numbers. */
function keyOf({ voxelWeights = 'none', ...one }) {
  return `${titleOf({ ...one, voxelWeights })}, ${one.kernel}`;
}

/** A sentence for each row that has risen, is new or is missing. */
export function risen(rows, table) {
  const before = new Map(table.map((row) => [keyOf(row), row.instructionsPerElement]));
  const problems = [];
  for (const row of rows) {
    const key = keyOf(row);
    const limit = before.get(key);
    before.delete(key);
    const now = row.instructionsPerElement;
    if (limit === undefined) problems.push(`${key}: not in the table; run npm run cuda:counts`);
    else if (now > limit * mostRise)
      problems.push(`${key}: ${now} instructions an element, ${limit} in the table`);
  }
  for (const key of before.keys()) problems.push(`${key}: in the table, but not counted`);
  return problems;
}

/** A row in one line. */
export function shown({ kernel, instructionsPerElement, registers, likelyShareOfCopy, ...one }) {
  const words = [
    titleOf(one).padEnd(58),
    kernel.padEnd(10),
    `${instructionsPerElement.toFixed(1).padStart(7)} instructions`,
  ];
  if (registers === undefined) return words.join(' ');
  return [
    ...words,
    `${String(registers).padStart(4)} registers`,
    `${String(one.resident).padStart(3)} blocks`,
    `${(100 * likelyShareOfCopy).toFixed(0).padStart(4)}% (${one.bound})`,
  ].join(' ');
}
