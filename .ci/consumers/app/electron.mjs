// Packs an application as the settings for Electron in docs/using-it-in.md say, and runs the program of what was unpacked: there
// Electron, which cannot be had here, looks for a library. Without that setting nothing is unpacked.
//   node electron.mjs <this repository>
import assert from 'node:assert';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import asar from '@electron/asar';

const [root] = process.argv.slice(2);
const app = import.meta.dirname;
const begin = performance.now();
const run = (file) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  return { status, stdout, stderr };
};
const expected = run(path.join(app, 'program.mjs'));
assert.equal(expected.status, 0);

const page = readFileSync(path.join(root, 'docs/using-it-in.md'), 'utf8');
const patterns = [...page.matchAll(/(?:asarUnpack": \["|unpack: ')([^"']+)/g)].map(([, text]) => text);
assert.equal(patterns.length, 2); // electron-builder's and Electron Forge's

// Elsewhere, or what is not unpacked would be found beside this file. Patterns match no folder that begins with a dot, as the cache's does.
const scratch = mkdtempSync(path.join(os.tmpdir(), 'warpdice-electron-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
const from = path.join(scratch, 'electron');
cpSync(path.join(app, 'node_modules'), path.join(from, 'node_modules'), { recursive: true });
cpSync(path.join(app, 'program.mjs'), path.join(from, 'program.mjs'));
for (const pattern of patterns) {
  const archive = path.join(scratch, 'app.asar');
  const unpacked = `${archive}.unpacked`;
  await asar.createPackageWithOptions(from, archive, { unpack: `{${pattern},**/program.mjs}` });
  assert.deepEqual(run(path.join(unpacked, 'program.mjs')), expected, pattern);
  for (const file of [archive, unpacked]) rmSync(file, { recursive: true });
  await asar.createPackageWithOptions(from, archive, {});
  assert(!existsSync(unpacked));
  rmSync(archive);
}
console.log(`asar: what is unpacked runs (${Math.round(performance.now() - begin)} ms)`);
