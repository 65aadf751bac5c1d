// What the figures belong to: machine, versions, commit.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package. bench/ and dist-bench/bench/ do not lie equally far below it. */
export const root = rootOf(path.dirname(fileURLToPath(import.meta.url)));

function rootOf(folder: string): string {
  return existsSync(path.join(folder, 'package.json')) ? folder : rootOf(path.dirname(folder));
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  /** As the system names them, "L2 1024K"; empty where it does not say. */
  readonly caches: string[];
  readonly memoryGiB: number;
  readonly system: string;
  /** Of the last minute, before the run: above 0 something else was running. */
  readonly loadAverage: number;
  readonly node: string;
  readonly warpdice: string;
  /** "unknown" outside a clone; with "+" when tracked files differ from it. */
  readonly commit: string;
  readonly date: string;
}

export function describeMachine(): Machine {
  const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  return {
    cpu: os.cpus()[0]?.model.trim() || process.arch,
    cores: os.availableParallelism(),
    caches: caches(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${process.arch}`,
    loadAverage: os.loadavg()[0],
    node: process.version,
    warpdice: version,
    commit: commit(),
    date: new Date().toISOString(),
  };
}

function caches(): string[] {
  const folder = '/sys/devices/system/cpu/cpu0/cache';
  try {
    return readdirSync(folder)
      .filter((name) => name.startsWith('index'))
      .map((name) => (file: string) => readFileSync(path.join(folder, name, file), 'utf8').trim())
      .filter((read) => read('type') !== 'Instruction')
      .map((read) => `L${read('level')} ${read('size')}`);
  } catch {
    return [];
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short=12', 'HEAD') + (changed ? '+' : '');
  } catch {
    return 'unknown';
  }
}

/** 1, 2, 4 ..., and all processors. */
export function threadCounts(processors: number): number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(processors)) + 1 }, (_, i) => 2 ** i);
  return [...new Set([...powers, processors])];
}
