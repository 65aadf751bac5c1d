// Waiting until a process rests: OpenMP's threads go on spinning after their work, for some ms, longer beside other programs.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const lookEveryMs = 1;
const mostMs = 250;
const withoutProcMs = 10; // libgomp's 300,000 turns of a loop, with room

/** The state of a thread from its line in /proc: the letter after the name in brackets, which may hold anything. */
export const stateOf = (stat: string): string => stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '';

/** Whether a thread of the process runs or waits for a processor; undefined where that cannot be told. */
export function isBusy(pid: number): boolean | undefined {
  const folder = `/proc/${pid}/task`;
  try {
    return readdirSync(folder).some((id) => {
      try {
        return stateOf(readFileSync(`${folder}/${id}/stat`, 'latin1')) === 'R';
      } catch {
        return false; // it has just ended
      }
    });
  } catch {
    return undefined;
  }
}

/** Until two looks find no thread of the process running, 250 ms at most; 10 ms where there is no /proc. */
export async function untilAtRest(pid: number, look = isBusy): Promise<void> {
  const end = performance.now() + mostMs;
  for (let quiet = 0; quiet < 2 && performance.now() < end; ) {
    const busy = look(pid);
    if (busy === undefined) return setTimeout(withoutProcMs);
    quiet = busy ? 0 : quiet + 1;
    await setTimeout(lookEveryMs);
  }
}
