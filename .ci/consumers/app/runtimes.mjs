// The program on Bun and Deno, with the rights that docs/using-it-in.md names, and as Bun bundles it.
//   node runtimes.mjs <this repository>
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const [root] = process.argv.slice(2);
const app = import.meta.dirname;
const tools = path.join(app, '../node_modules');
const bun = path.join(tools, '@oven/bun-linux-x64-baseline/bin/bun');
const deno = path.join(tools, '@deno/linux-x64-glibc/deno');
const [modules, hidden] = ['node_modules', 'hidden'].map((name) => path.join(app, name));
const scratch = mkdtempSync(path.join(os.tmpdir(), 'warpdice-runtimes-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const env = { ...process.env, HOME: scratch, XDG_CACHE_HOME: scratch, DENO_DIR: scratch, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' };

function run(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: app, env, encoding: 'utf8' });
  return { status, stdout, stderr };
}
const expected = run(process.execPath, 'program.mjs');
assert.match(expected.stdout, /^0\.\d{6}\n$/);
const prints = (...command) => assert.deepEqual(run(...command), expected, command.join(' '));

/** What a runtime does; its package is for one platform. */
function check(name, program, body) {
  const begin = performance.now();
  if (!existsSync(program)) return console.log(`${name}: there is none for this platform`);
  body();
  console.log(`${name}: ${Math.round(performance.now() - begin)} ms`);
}

check('Bun', bun, () => {
  prints(bun, 'program.mjs');
  const bundled = path.join(app, 'bun.mjs'); // beside node_modules
  assert.equal(run(bun, 'build', 'program.mjs', '--target', 'node', '--external', 'warpdice', '--outfile', bundled).status, 0);
  prints(process.execPath, bundled);

  // One file, which holds Bun as well, elsewhere: it needs the addon beside it.
  const compiled = path.join(scratch, 'program');
  assert.equal(run(bun, 'build', 'program.mjs', '--compile', '--outfile', compiled).status, 0);
  renameSync(modules, hidden); // it also looks where it was compiled
  assert(run(compiled).stderr.includes('warpdice is bundled without its compiled addon'));
  cpSync(path.join(hidden, `@warpdice/${process.platform}-${process.arch}/prebuilds`), path.join(scratch, 'prebuilds'), { recursive: true });
  prints(compiled);
  renameSync(hidden, modules);
});

check('Deno', deno, () => {
  const page = readFileSync(path.join(root, 'docs/using-it-in.md'), 'utf8');
  const rights = /`deno run (--allow[^`]*)`/.exec(page)[1].split(' ');
  prints(deno, 'run', ...rights, 'program.mjs');
  for (const right of rights) {
    const fewer = rights.filter((other) => other !== right);
    assert.notEqual(run(deno, 'run', '--no-prompt', ...fewer, 'program.mjs').status, 0, `Deno does not ask for ${right}`);
  }
});
