// A thread of parallel.mjs: counts the cases that it gets, and says each row with its machine code in words.
import { parentPort, workerData } from 'node:worker_threads';
import { count } from './count.mjs';
import { shown } from './table.mjs';

const { hot, ...what } = workerData;

/** The instructions that were issued, with how often. */
function hotLines({ machineCode, result }) {
  return machineCode.instructions.flatMap(({ pc, guard, name, operands, stall, waits }, i) => {
    if (result.issued[i] === 0) return [];
    const words = `${guard ? `@${guard} ` : ''}${name} ${operands.join(', ')}`;
    const place = pc.toString(16).padStart(5);
    return `  ${place} ${String(result.issued[i]).padStart(8)} ${String(stall).padStart(2)} ${waits} ${words}`;
  });
}

count({
  ...what,
  found: (row) => {
    const { launch: _, result: __, machineCode: ___, ...numbers } = row;
    const lines = [shown(row), ...(hot ? hotLines(row) : [])];
    parentPort.postMessage({ row: numbers, text: lines.join('\n') });
  },
});
