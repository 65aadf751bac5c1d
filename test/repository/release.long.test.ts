// scripts/release.mjs refuses what is not whole. Each test makes a small repository that is whole but for one thing.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
let made = ''; // holds all that these tests make
let folder = '';

const write = (file: string, text: string) => writeFileSync(path.join(folder, file), text);
const git = (...args: string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
    cwd: folder,
    stdio: 'pipe',
  });

function commit() {
  git('add', '--all');
  git('commit', '--quiet', '--message', 'all');
}

const changelog = '# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-01-02\n\n- A first line.\n';
const manifest = {
  name: 'small',
  version: '1.2.3',
  main: './dist/index.js',
  prebuiltPlatforms: ['linux-x64'],
  scripts: { 'release:check': 'echo release-check', packages: 'echo packages' },
};

/** A small addon, linked and stripped as those of prebuilds are, and with a section where nvcc puts its kernels. */
function prebuilt(name: string, withCuda: boolean) {
  const kernels = path.join(made, 'kernels');
  writeFileSync(kernels, 'machine code');
  const source = path.join(made, 'addon.c');
  writeFileSync(source, 'void* napi_register_module_v1(void* env, void* e) { return e; }\n');
  const addon = path.join(made, name);
  const linked = ['-s', '-Wl,-z,nodelete', '-Wl,-z,now', '-nostdlib', '-o', addon];
  execFileSync('cc', ['-shared', '-fPIC', source, ...linked]);
  if (withCuda) execFileSync('objcopy', ['--add-section', `.nv_fatbin=${kernels}`, addon]);
}

const binary = () => path.join(folder, 'packages/linux-x64/prebuilds/linux-x64/warpdice.node');
const mpiBinary = () =>
  path.join(folder, 'packages/linux-x64/prebuilds/linux-x64/mpi/warpdice_mpi.node');

function release(...args: string[]) {
  const script = path.join(root, 'scripts/release.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
    cwd: folder,
    encoding: 'utf8',
  });
  return { status, stdout, problems: stderr.trim().split('\n') };
}

beforeAll(() => {
  made = mkdtempSync(path.join(tmpdir(), 'warpdice-release-'));
  prebuilt('with-cuda.node', true);
  prebuilt('without-cuda.node', false);
  folder = path.join(made, 'whole');
  for (const name of ['dist', 'native', '.ci', 'packages/linux-x64/prebuilds/linux-x64/mpi']) {
    mkdirSync(path.join(folder, name), { recursive: true });
  }
  write('package.json', JSON.stringify(manifest));
  write('package-lock.json', JSON.stringify({ version: '1.2.3' }));
  write('CHANGELOG.md', changelog);
  write('native/one.cc', '');
  write('dist/index.js', '');
  write('.ci/run', 'echo ci');
  write('.gitignore', 'dist\npackages\n');
  git('init', '--quiet');
  commit();
});
beforeEach(() => {
  folder = path.join(made, 'tried');
  cpSync(path.join(made, 'whole'), folder, { recursive: true });
  cpSync(path.join(made, 'with-cuda.node'), binary());
  cpSync(path.join(made, 'without-cuda.node'), mpiBinary());
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => rmSync(made, { recursive: true }));

test('what is whole passes: both checks run, and a dry run tags nothing', () => {
  const { status, stdout } = release('--dry-run');
  expect(stdout).toMatch(
    /^ci$[\s\S]*^release-check$[\s\S]*^packages$[\s\S]*version 1\.2\.3 is whole/m,
  );
  expect(status).toBe(0);
  expect(git('tag').toString()).toBe('');
});

test('a clean clone without binaries is not published', () => {
  rmSync(path.join(folder, 'packages'), { recursive: true });
  rmSync(path.join(folder, 'dist'), { recursive: true });
  const { status, problems } = release('--check-package');
  expect(problems).toEqual([
    'release: ./dist/index.js is missing: npm run build:ts',
    'release: packages/linux-x64/prebuilds/linux-x64/warpdice.node is missing: npm run prebuilds -- --platform linux-x64',
    'release: packages/linux-x64/prebuilds/linux-x64/mpi/warpdice_mpi.node is missing: npm run prebuilds -- --platform linux-x64',
  ]);
  expect(status).toBe(1);
});

test('the clone itself cannot be published', () => {
  const manifest = require('../../package.json');
  expect(manifest.private).toBe(true);
  const { status, stderr } = spawnSync('npm', ['publish', '--dry-run'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stderr).toContain('Publish with: npm run release');
  expect(status).not.toBe(0);
});

/** What is done to the repository, and the one sentence that must follow. */
const faults: [name: string, plant: () => void, sentence: RegExp][] = [
  [
    'a file that is not committed',
    () => write('native/two.cc', ''),
    /the tree has changes that are not committed: \?\? native\/two\.cc/,
  ],
  [
    'a version that is tagged',
    () => git('tag', 'v1.2.3'),
    /version 1\.2\.3 is already tagged: raise it in package\.json/,
  ],
  [
    'another version in the lock file',
    () => {
      write('package-lock.json', JSON.stringify({ version: '1.2.2' }));
      commit();
    },
    /package-lock\.json says version 1\.2\.2, package\.json 1\.2\.3/,
  ],
  [
    'a changelog without the version',
    () => {
      write('CHANGELOG.md', changelog.replace('1.2.3', '1.2.2'));
      commit();
    },
    /CHANGELOG\.md has no section ## 1\.2\.3/,
  ],
  [
    'a version without a date',
    () => {
      write('CHANGELOG.md', changelog.replace('2026-01-02', 'soon'));
      commit();
    },
    /Expected '## 1\.2\.3 - <year>-<month>-<day>' in CHANGELOG\.md but received '## 1\.2\.3 - soon'/,
  ],
  [
    'entries that are not released',
    () => {
      write('CHANGELOG.md', changelog.replace('Unreleased\n', 'Unreleased\n\n- Something.\n'));
      commit();
    },
    /CHANGELOG\.md has entries under Unreleased/,
  ],
];

test.each(faults)('%s: refused before any check', (_, plant, sentence) => {
  plant();
  const { status, stdout, problems } = release('--dry-run');
  expect(problems.filter((problem) => sentence.test(problem))).toHaveLength(1);
  expect(status).toBe(1);
  expect(stdout).toBe('');
});

const packageFaults: typeof faults = [
  [
    'no binary for MPI',
    () => rmSync(mpiBinary()),
    /mpi\/warpdice_mpi\.node is missing: npm run prebuilds -- --platform linux-x64/,
  ],
  [
    'a binary without CUDA',
    () => cpSync(path.join(made, 'without-cuda.node'), binary()),
    /linux-x64\/warpdice\.node holds no CUDA kernels: WARPDICE_CUDA=ON npm run prebuilds -- --platform linux-x64, with nvcc/,
  ],
  [
    'something that is no addon',
    () => cpSync(path.join(root, 'package.json'), binary()),
    /linux-x64\/warpdice\.node is no binary to publish/,
  ],
  [
    'a binary older than the sources',
    () => utimesSync(binary(), 1000, 1000),
    /linux-x64\/warpdice\.node is older than the sources: npm run prebuilds -- --platform linux-x64/,
  ],
];

test.each(packageFaults)('%s: neither released nor published', (_, plant, sentence) => {
  plant();
  for (const args of [['--dry-run'], ['--check-package']]) {
    const { status, problems } = release(...args);
    expect(problems.filter((problem) => sentence.test(problem))).toHaveLength(1);
    expect(status).toBe(1);
  }
});

test.each([
  ['.ci/run', () => write('.ci/run', 'exit 3'), 'bash .ci/run failed'],
  [
    'release:check',
    () =>
      write(
        'package.json',
        JSON.stringify({
          ...manifest,
          scripts: { ...manifest.scripts, 'release:check': 'exit 1' },
        }),
      ),
    'npm run release:check failed',
  ],
])('a failing %s: refused', (_, plant, sentence) => {
  plant();
  commit();
  const { status, problems } = release('--dry-run');
  expect(problems.at(-1)).toBe(`release: ${sentence}`);
  expect(status).toBe(1);
});
