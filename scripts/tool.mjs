// Runs a development tool that `npm install` leaves out, to keep a clone small: `node scripts/tool.mjs biome check`.
// The tools are listed in .ci/node-tools/package.json; the first use installs them there.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const folder = path.join(import.meta.dirname, '..', '.ci', 'node-tools');
const bin = path.join(folder, 'node_modules', '.bin');

/** The exit status; the output goes to the terminal. */
function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (error) console.error(`Could not run ${program}: ${error.message}`);
  return status ?? 1;
}

/** Runs a tool with its arguments and gives its exit status. */
export function runTool(name, args) {
  if (!existsSync(path.join(bin, name))) {
    console.error(`${name} is installed into ${path.relative(process.cwd(), folder)}, once`);
    const status = run('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund']);
    if (status !== 0) return status;
  }
  return run(path.join(bin, name), args);
}

if (process.argv[1] === import.meta.filename) {
  const [name, ...args] = process.argv.slice(2);
  process.exitCode = runTool(name, args);
}
