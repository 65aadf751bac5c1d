// Compares with the other libraries themselves: `npm run peers [-- --record]`.
//
// Installs them (environment.mjs), has them compute the rows and check the sentences of docs/coming-from.md (theirs.py), and
// runs test/docs/coming-from.test.ts on the result. --record writes the result to recorded.json as well, which `npm test` reads.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cannotRun, pythonWithPeers } from './environment.mjs';

const { values: options } = parseArgs({ options: { record: { type: 'boolean', default: false } } });
const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const python = pythonWithPeers();
if (python === undefined) process.exit(cannotRun);

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-peers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const out = path.join(folder, 'theirs.json');
const inherit = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] };

const page = path.join(root, 'docs', 'coming-from.md');
const theirs = spawnSync(python, [path.join(here, 'theirs.py'), page, out], inherit);
if (theirs.status !== 0) process.exit(1);
if (options.record) copyFileSync(out, path.join(here, 'recorded.json'));

const ours = spawnSync('npx', ['jest', 'test/docs/coming-from.test.ts'], {
  ...inherit,
  env: { ...process.env, WARPDICE_PEERS: out },
});
process.exit(ours.status ?? 1);
