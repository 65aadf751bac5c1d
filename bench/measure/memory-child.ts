// Prints by how many bytes the resident memory of this process grows over calls of one case, beyond the gradient.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { setThreads } from 'warpdice';
import { groups } from '../cases/cases.js';
import { calls } from '../cases/names.js';
import { makeProblem } from '../cases/problem.js';

export interface MemorySettings {
  readonly group: string;
  readonly case: string;
  readonly call: string;
  readonly threads: number;
}

const settings = JSON.parse(process.argv[2] as string) as MemorySettings;
const group = groups.find(({ name }) => name === settings.group);
const c = group?.cases.find(({ name }) => name === settings.case);
if (!group || !c) throw new Error(`No case ${settings.group} ${settings.case}`);
const allocating = settings.call === calls.allocating;

/** Highest resident bytes since the process began or the mark was reset; undefined where the system does not say. */
function peakBytes(): number | undefined {
  try {
    const match = /VmHWM:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
    return match ? Number(match[1]) * 1024 : undefined;
  } catch {
    return undefined;
  }
}

/** Forgets the highest mark, which the preparations set. Returns whether that was possible (Linux). */
function resetPeak(): boolean {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
    return true;
  } catch {
    return false;
  }
}

const call = ({ loss, logits, target, out }: ReturnType<typeof makeProblem>, count: number) => {
  let kept: unknown;
  for (let i = 0; i < count; i++) {
    kept = loss.valueAndGrad(logits, target, allocating ? {} : { out });
  }
  return kept;
};

setThreads(settings.threads);
// On a few voxels: V8 compiles, and the code of the addon is read in; the workspaces stay small and no thread starts.
call(makeProblem(group, c, [1, group.shape[1] as number, 2, 2]), 3000);
const problem = makeProblem(group, c, group.shape);
// V8 frees collected arrays in the background: wait until what the preparations left is gone, or it would hide growth.
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await setTimeout(100);
}
peakBytes();
process.memoryUsage();
const canReset = resetPeak();
const peakBefore = peakBytes();
const before = process.memoryUsage().rss;
// The allocating call once: its second gradient would come before the first is collected.
const kept = call(problem, allocating ? 1 : 20);
const after = process.memoryUsage().rss;
const peakAfter = peakBytes();
const gradient = allocating ? problem.out.grad.byteLength : 0;
console.log(
  JSON.stringify({
    resident: after - before - gradient,
    peak: canReset ? Number(peakAfter) - Number(peakBefore) - gradient : undefined,
    alive: kept !== undefined,
  }),
);
