// Runs test/support/workers/*.mjs, or scripts by their absolute path, in Node processes of their own, against dist/.
import { spawn } from 'node:child_process';
import path from 'node:path';

/** The program and its arguments that start Node. Where this one is emulated, it cannot know (scripts/try-prebuilt.mjs does). */
const { WARPDICE_TEST_NODE } = process.env;
const [program, ...before]: [string, ...string[]] = WARPDICE_TEST_NODE
  ? JSON.parse(WARPDICE_TEST_NODE)
  : [process.execPath];

interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export const script = (name: string): string => path.resolve(__dirname, 'workers', name);

/** Resolves when the process has ended, however it did. */
export function run(
  name: string,
  {
    args = [],
    env = {},
    node = [],
  }: { args?: string[]; env?: Record<string, string>; node?: string[] } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, ...node, script(name), ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** {@link run}, and throws unless the process ended by itself with code 0. Returns what it printed. */
export async function runWell(...args: Parameters<typeof run>): Promise<string> {
  const { code, signal, stdout, stderr } = await run(...args);
  if (code !== 0 || signal !== null) {
    throw new Error(`${args[0]} ended with code ${code}, signal ${signal}\n${stdout}\n${stderr}`);
  }
  return stdout;
}
