// Which processors the measuring process is kept on, so that its threads neither wander nor share a core; numbers of threads.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** "0-2,8" */
export function parseList(list: string): number[] {
  return list
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/**
 * One hardware thread of so many cores, or undefined where that changes nothing or there are not so many.
 * siblings: the hardware threads of a processor's core, itself included.
 */
export function choose(
  allowed: readonly number[],
  siblings: (processor: number) => readonly number[],
  threads: number,
): number[] | undefined {
  if (allowed.length <= threads) return undefined;
  const firsts = allowed.filter((processor) => {
    const here = siblings(processor).filter((other) => allowed.includes(other));
    return processor === Math.min(processor, ...here);
  });
  return firsts.length < threads ? undefined : firsts.slice(0, threads);
}

/** For `threads` threads on this machine; undefined without Linux's taskset. */
export function processorsFor(threads: number): number[] | undefined {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    const status = readFileSync('/proc/self/status', 'utf8');
    const allowed = parseList(/Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1] ?? '');
    const siblings = (processor: number) =>
      parseList(
        readFileSync(
          `/sys/devices/system/cpu/cpu${processor}/topology/thread_siblings_list`,
          'utf8',
        ),
      );
    return choose(allowed, siblings, threads);
  } catch {
    return undefined;
  }
}

/** 1, 2, 4 ..., and all processors. */
export function threadCounts(processors: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(processors)) + 1 }, (_, i) => 2 ** i);
  return [...new Set([...powers, processors])];
}
