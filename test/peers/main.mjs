// Compares with the other libraries themselves:
//   npm run peers [-- --cases 1000] [--seed 1 | --random] [--record]
//
// Installs them (environment.mjs), has them compute the rows and check the sentences of docs/coming-from.md (theirs.py), and
// runs test/docs/coming-from.test.ts on the result. Then they solve random problems with random options (random_cases.py), and
// compare.mjs solves the same; --random takes another seed each time. --record writes the result to recorded.json, which `npm test` reads,
// and the page from it (page.mjs).
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { compare } from './compare.mjs';
import { cannotRun, pythonWithPeers } from './environment.mjs';
import { pageOf } from './page.mjs';

const { values: options } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    random: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});
const here = import.meta.dirname;
const root = path.resolve(here, '../..');
const python = pythonWithPeers();
if (python === undefined) process.exit(cannotRun);

const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-peers-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const out = path.join(folder, 'theirs.json');
const inherit = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] };

const page = path.join(root, 'docs', 'coming-from.md');
const askRows = () => {
  const theirs = spawnSync(python, [path.join(here, 'theirs.py'), page, out], inherit);
  if (theirs.status !== 0) process.exit(1);
};
askRows();

const compared = path.join(folder, 'compared.json');
const ours = spawnSync(
  'npx',
  ['jest', 'test/docs/coming-from.test.ts', '--json', '--outputFile', compared],
  {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, WARPDICE_PEERS: out },
  },
);
if (options.record) recordPage();

function recordPage() {
  const { versions } = JSON.parse(readFileSync(out, 'utf8'));
  const [suite] = JSON.parse(readFileSync(compared, 'utf8')).testResults;
  const passed = suite.assertionResults.filter(({ status }) => status === 'passed');
  const names = new Set(passed.map(({ title }) => title));
  const { text, leftOut } = pageOf(readFileSync(page, 'utf8'), versions, names);
  writeFileSync(page, text);
  for (const name of leftOut) console.log(`left out of the page, as it did not pass: ${name}`);
  if (leftOut.length > 0) askRows();
  copyFileSync(out, path.join(here, 'recorded.json'));
}

// Metrics of surfaces and components, by test/metrics/surface.test.ts and components.test.ts.
const surfaces = path.join(folder, 'surfaces.json');
const surfaceSeed = options.random ? `${Date.now() % 1e9}` : '1';
const measured = spawnSync(
  python,
  [
    '-W',
    'ignore',
    path.join(here, 'surfaces.py'),
    options.random ? '200' : '40',
    surfaceSeed,
    surfaces,
  ],
  inherit,
);
if (measured.status !== 0) process.exit(1);
if (options.record) copyFileSync(surfaces, path.join(here, 'surfaces.json'));
const oursMeasured = spawnSync('npx', ['jest', 'test/metrics/surface', 'test/metrics/components'], {
  ...inherit,
  env: { ...process.env, WARPDICE_PEERS_SURFACES: surfaces },
});

// Losses that are no function of sums, by test/losses/lovasz.test.ts.
const direct = path.join(folder, 'direct.json');
const directCases = [options.random ? '300' : '16', surfaceSeed, direct];
const asked = spawnSync(
  python,
  ['-W', 'ignore', path.join(here, 'direct.py'), ...directCases],
  inherit,
);
if (asked.status !== 0) process.exit(1);
if (options.record) copyFileSync(direct, path.join(here, 'direct.json'));
const oursDirect = spawnSync('npx', ['jest', 'test/losses/lovasz.test.ts'], {
  ...inherit,
  env: { ...process.env, WARPDICE_PEERS_DIRECT: direct },
});

// The largest cross-entropies, by test/losses/top-k.test.ts.
const largest = path.join(folder, 'top_k.json');
const largestCases = [options.random ? '300' : '12', surfaceSeed, largest];
const found = spawnSync(
  python,
  ['-W', 'ignore', path.join(here, 'top_k.py'), ...largestCases],
  inherit,
);
if (found.status !== 0) process.exit(1);
if (options.record) copyFileSync(largest, path.join(here, 'top_k.json'));
const oursLargest = spawnSync('npx', ['jest', 'test/losses/top-k.test.ts'], {
  ...inherit,
  env: { ...process.env, WARPDICE_PEERS_TOP_K: largest },
});

// Losses that know where voxels lie, by their suites.
const spatial = path.join(folder, 'spatial.json');
const spatialCases = [options.random ? '200' : '14', surfaceSeed, spatial];
const measuredLosses = spawnSync(
  python,
  ['-W', 'ignore', path.join(here, 'spatial.py'), ...spatialCases],
  inherit,
);
if (measuredLosses.status !== 0) process.exit(1);
if (options.record) copyFileSync(spatial, path.join(here, 'spatial.json'));
const oursSpatial = spawnSync(
  'npx',
  ['jest', 'test/losses/distance-losses', 'test/losses/cldice'],
  {
    ...inherit,
    env: { ...process.env, WARPDICE_PEERS_SPATIAL: spatial },
  },
);

const seed = options.random ? `${Date.now() % 1e9}` : options.seed;
const file = path.join(folder, 'random.json');
const command = [path.join(here, 'random_cases.py'), options.cases, seed, file];
const solved = spawnSync(python, command, inherit);
const wrong = solved.status === 0 ? compare(JSON.parse(readFileSync(file, 'utf8'))) : 1;
process.exit(
  [ours, oursMeasured, oursDirect, oursLargest, oursSpatial].every(({ status }) => status === 0) &&
    wrong === 0
    ? 0
    : 1,
);
