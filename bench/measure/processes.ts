// Each part of a run measures in processes of its own, which send what they find.
import { execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { root } from './machine.js';
import type { Budget } from './timing.js';

export interface ChildSettings {
  readonly simd: string;
  readonly threads: number;
  readonly filter?: string | undefined;
  readonly quick: boolean;
  readonly all: boolean;
  readonly budget: Budget;
}

export const nodeFlags = ['--expose-gc', '--max-old-space-size=4096'];
export const childFile = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** Processes that ended before their work was done. What they had sent counts, and the other parts go on: a whole run takes long. */
export const endedEarly: string[] = [];

/** Runs a file of bench/ in a process of its own. */
export async function runChild<Message>(
  file: string,
  settings: ChildSettings,
  receive: (message: Message) => void,
): Promise<void> {
  const child = fork(childFile(file), [JSON.stringify(settings)], {
    execArgv: nodeFlags,
    env: { ...process.env, WARPDICE_SIMD: settings.simd },
  });
  child.on('message', (message) => receive(message as Message));
  await new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code !== 0) endedEarly.push(`${file} of ${settings.simd} ended with ${signal ?? code}`);
      resolve();
    });
  });
}

/** The other side: works with the settings, sends what it finds, and ends with its parent. */
export async function inChild<Message>(
  work: (settings: ChildSettings, send: (message: Message) => void) => Promise<void>,
): Promise<void> {
  process.once('disconnect', () => process.exit());
  const settings = JSON.parse(process.argv[2] as string) as ChildSettings;
  await work(settings, (message) => process.send?.(message));
  process.disconnect?.();
}

/** Has this machine the SIMD target? */
export function isThere(simd: string): boolean {
  const program = "import { simdTarget } from 'warpdice'; console.log(simdTarget());";
  const env = { ...process.env, WARPDICE_SIMD: simd };
  try {
    const found = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: root,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    return found.toString().trim() === simd;
  } catch {
    endedEarly.push(`the engine's SIMD target ${simd}: warpdice cannot be loaded`);
    return false;
  }
}
