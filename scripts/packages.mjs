// Makes the packages that a release publishes, as folders: packages/warpdice and, for each platform, packages/<name>, into which
// `npm run prebuilds` has put its binary.
//
//   npm run packages              all of them; refuses where a binary is missing or is not to be published
//   npm run packages -- --main    the main one alone, for checks
//
// Nothing that is published has an install script: npm 12 and pnpm run none unless the user allows it.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { packageFolder, packageOf, platforms } from './platforms.mjs';
import { problemsOfPackage } from './release-problems.mjs';

// preferUnplugged is yarn's: from a zip file no library can be loaded, and nothing can be compiled in one.
const writeManifest = (folder, manifest) =>
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);

/** Whose headers the published package has in native/headers: yarn would install node-gyp for one of them, with all that it needs. */
const headerPackages = { 'node-addon-api': '.', 'node-api-headers': 'include' };

/** The main package's package.json: without what only a clone needs, with the platforms' packages. */
export function publishedManifest(manifest) {
  const {
    private: _,
    scripts,
    devDependencies,
    binary,
    prebuiltPlatforms,
    ...published
  } = manifest;
  const { version } = manifest;
  const dependencies = { ...manifest.dependencies };
  for (const name of Object.keys(headerPackages)) delete dependencies[name];
  const optionalDependencies = Object.fromEntries(
    prebuiltPlatforms.map((name) => [packageOf(name), version]),
  );
  return { ...published, dependencies, optionalDependencies, preferUnplugged: true };
}

/** The package.json of a platform's package. A package manager installs it only where os, cpu and libc fit. */
export function platformManifest(name, manifest) {
  const { version, license, author, homepage, repository, bugs, engines } = manifest;
  const { libc } = platforms[name];
  const [os, cpu] = name.split('-');
  return {
    name: packageOf(name),
    version,
    description: `The compiled addon of warpdice for ${name}`,
    ...{ license, author, homepage, repository, bugs, engines },
    files: ['prebuilds'],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    preferUnplugged: true,
    publishConfig: { access: 'public' },
  };
}

/** Makes packages/<name> in a folder, around the platform's binary if that is there. `manifest` is the main package's. */
export function makePlatformPackage(root, name, manifest) {
  const folder = path.join(root, packageFolder(name));
  mkdirSync(folder, { recursive: true });
  writeManifest(folder, platformManifest(name, manifest));
  cpSync(path.join(import.meta.dirname, '../LICENSE'), path.join(folder, 'LICENSE'));
  const text = `The compiled addon of [warpdice](https://www.npmjs.com/package/warpdice) for ${name}, which npm installs with it.\n`;
  writeFileSync(path.join(folder, 'README.md'), `# ${packageOf(name)}\n\n${text}`);
  return folder;
}

/** Copies the headers of Node-API and of its C++ side, with their licences. */
function copyHeaders(root, to) {
  for (const [name, folder] of Object.entries(headerPackages)) {
    const from = path.join(root, 'node_modules', name);
    for (const file of readdirSync(path.join(from, folder))) {
      if (file.endsWith('.h')) cpSync(path.join(from, folder, file), path.join(to, file));
    }
    const licence = readdirSync(from).find((file) => /^licen[cs]e/i.test(file));
    cpSync(path.join(from, licence), path.join(to, `LICENSE.${name}`));
  }
}

/** Makes packages/warpdice of what `npm pack` takes from this tree. */
export function makeMainPackage(root) {
  const folder = path.join(root, 'packages/warpdice');
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'warpdice-pack-'));
  const run = (program, args) => execFileSync(program, args, { cwd: root, stdio: 'pipe' });
  try {
    run('npm', ['pack', '--silent', '--pack-destination', scratch]);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const tarball = path.join(scratch, `warpdice-${manifest.version}.tgz`);
    run('tar', ['-xf', tarball, '-C', folder, '--strip-components', '1']);
    writeManifest(folder, publishedManifest(manifest));
    copyHeaders(root, path.join(folder, 'native/headers'));
  } finally {
    rmSync(scratch, { recursive: true });
  }
  return folder;
}

if (process.argv[1] === import.meta.filename) {
  const { main } = parseArgs({ options: { main: { type: 'boolean', default: false } } }).values;
  const root = path.dirname(import.meta.dirname);
  const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  makeMainPackage(root);
  if (!main) {
    for (const name of manifest.prebuiltPlatforms) makePlatformPackage(root, name, manifest);
    const problems = problemsOfPackage(root);
    for (const problem of problems) console.error(`packages: ${problem}`);
    if (problems.length > 0) process.exitCode = 1;
  }
}
