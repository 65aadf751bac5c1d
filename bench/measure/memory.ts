// How much memory a call takes beyond the gradient: each row in fresh processes, the median counts.
import { type ExecFileException, execFile } from 'node:child_process';
import os from 'node:os';
import { promisify } from 'node:util';
import { lacksMemory, select } from '../cases/cases.js';
import { calls } from '../cases/names.js';
import type { MemoryResult } from '../report/results.js';
import type { MemorySettings } from './memory-child.js';
import { childFile, endedEarly, nodeFlags } from './processes.js';

interface Options {
  readonly quick: boolean;
  readonly all: boolean;
  readonly filter: string | undefined;
  readonly threads: number;
}

/** `valueAndGrad` of every case, of the first one without buffers too; --quick: of the first case alone. */
export async function measureMemory(
  options: Options,
  freeBytes = os.freemem(),
): Promise<MemoryResult[]> {
  const { quick, threads } = options;
  const rows = select(options)
    .filter(({ extent }) => extent !== 'tiny')
    .flatMap((group) =>
      group.cases.slice(0, quick ? 1 : undefined).flatMap((c, i) =>
        (i === 0 ? [calls.valueAndGrad, calls.allocating] : [calls.valueAndGrad]).map((call) => ({
          what: { group: group.name, case: c.name, call },
          skipped: lacksMemory({ ...group, cases: [c] }, freeBytes),
          runs: [] as { resident: number; peak?: number }[],
        })),
      ),
    );
  const left = rows.flatMap((row) =>
    Array(row.skipped ? 0 : quick ? 1 : 3).fill(row),
  ) as typeof rows;
  const next = async (): Promise<void> => {
    for (let row = left.shift(); row; row = left.shift()) {
      const { group, case: name } = row.what;
      console.error(`  ${group}, ${name}`);
      try {
        row.runs.push(await memoryOf({ ...row.what, threads }));
      } catch (error) {
        const { signal, code } = error as ExecFileException;
        endedEarly.push(`memory-child.js of ${group} ${name} ended with ${signal ?? code}`);
      }
    }
  };
  // Two at a time: each counts the pages of its own process, whatever another does.
  await Promise.all([next(), next()]);
  return rows.map(({ what, skipped, runs }) => {
    if (runs.length === 0) return { ...what, skipped: skipped ?? 'it ended early' };
    const peaks = runs.flatMap(({ peak }) => peak ?? []);
    const resident = middle(runs.map(({ resident }) => resident)) as number;
    return { ...what, resident, peak: middle(peaks), children: runs.length };
  });
}

async function memoryOf(settings: MemorySettings): Promise<{ resident: number; peak?: number }> {
  const child = childFile('measure/memory-child.js');
  const args = [...nodeFlags, child, JSON.stringify(settings)];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
}

const middle = (values: number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[values.length >> 1];
