// What keeps a release from being whole: one sentence for each thing that is missing or wrong.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { platforms, prebuiltFile, prebuiltMpiFile } from './platforms.mjs';

const read = (root, file) => readFileSync(path.join(root, file), 'utf8');

function git(root, ...args) {
  const { status, stdout } = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

/** What is published: the built library, and for each platform a package with its binary. */
export function problemsOfPackage(root) {
  const problems = [];
  const { main, prebuiltPlatforms } = JSON.parse(read(root, 'package.json'));
  if (!existsSync(path.join(root, main))) problems.push(`${main} is missing: npm run build:ts`);
  // On other platforms the package compiles itself.
  for (const name of prebuiltPlatforms) {
    for (const file of [prebuiltFile(name), prebuiltMpiFile(name)].filter(Boolean)) {
      if (existsSync(path.join(root, file))) problems.push(...problemsOfBinary(root, name, file));
      else problems.push(`${file} is missing: npm run prebuilds -- --platform ${name}`);
    }
  }
  return problems;
}

function problemsOfBinary(root, name, short) {
  const problems = [];
  const file = path.join(root, short);
  const check = path.join(import.meta.dirname, 'check-binary.mjs');
  const { status, stderr } = spawnSync(process.execPath, [check, name, file], { encoding: 'utf8' });
  if (status !== 0) {
    const details = stderr.trim().split('\n').slice(0, 5);
    problems.push(`${short} is no binary to publish: ${details.map((s) => s.trim()).join(', ')}`);
  }
  const sections = spawnSync('readelf', ['-SW', file], { encoding: 'utf8' }).stdout ?? '';
  const mustHoldKernels = platforms[name].cuda && short === prebuiltFile(name);
  if (mustHoldKernels && !sections.includes('.nv_fatbin')) {
    problems.push(
      `${short} holds no CUDA kernels: WARPDICE_CUDA=ON npm run prebuilds -- --platform ${name}, with nvcc`,
    );
  }
  const newest = git(root, 'log', '-1', '--format=%ct', '--', 'native', 'cmake', 'CMakeLists.txt');
  if (newest && statSync(file).mtimeMs < Number(newest) * 1000) {
    problems.push(`${short} is older than the sources: npm run prebuilds -- --platform ${name}`);
  }
  return problems;
}

/** The tree, the version and the changelog. */
export function problemsOfRepository(root) {
  const problems = [];
  const { version } = JSON.parse(read(root, 'package.json'));
  const lock = JSON.parse(read(root, 'package-lock.json')).version;
  if (git(root, 'rev-parse', 'HEAD') === undefined) return ['this is no git repository'];
  const changed = git(root, 'status', '--porcelain');
  if (changed) problems.push(`the tree has changes that are not committed: ${firstLines(changed)}`);
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
    problems.push(`Expected x.y.z for version in package.json but received '${version}'`);
  }
  if (lock !== version) {
    problems.push(`package-lock.json says version ${lock}, package.json ${version}: npm install`);
  }
  if (git(root, 'rev-parse', '--verify', `refs/tags/v${version}`) !== undefined) {
    problems.push(`version ${version} is already tagged: raise it in package.json`);
  }
  return [...problems, ...problemsOfChangelog(read(root, 'CHANGELOG.md'), version)];
}

function problemsOfChangelog(text, version) {
  const sections = text.split(/^## /m).slice(1);
  const of = (name) => sections.find((section) => section.split(/[\s\n]/)[0] === name);
  const problems = [];
  const section = of(version);
  if (section === undefined) return [`CHANGELOG.md has no section ## ${version}`];
  const heading = section.split('\n')[0];
  if (!/^\S+ - \d{4}-\d\d-\d\d$/.test(heading)) {
    problems.push(
      `Expected '## ${version} - <year>-<month>-<day>' in CHANGELOG.md but received '## ${heading}'`,
    );
  }
  if (!/^- /m.test(section))
    problems.push(`CHANGELOG.md says nothing of what is in version ${version}`);
  if (/^- /m.test(of('Unreleased') ?? '')) {
    problems.push(
      `CHANGELOG.md has entries under Unreleased: they belong under ## ${version} or in a later release`,
    );
  }
  return problems;
}

function firstLines(text) {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.slice(0, 3).join(', ') + (lines.length > 3 ? ` and ${lines.length - 3} more` : '');
}
