// Builds the addon with CMake: checks first what is needed, so that whatever is missing is named in one sentence.
//
//   node scripts/build-native.mjs [--out <folder>] [-D<name>=<value> ...]
//
// Environment: WARPDICE_CUDA = AUTO | ON | OFF, WARPDICE_SIMD_TARGETS = AUTO | ALL, WARPDICE_SANITIZE = address,undefined | thread,
// WARPDICE_WERROR = ON, CXX.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);

/** A sentence for the user, not a bug: printed without a stack. */
export class BuildError extends Error {}

function onPath(program) {
  const file = process.platform === 'win32' ? `${program}.exe` : program;
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .some((folder) => folder !== '' && existsSync(path.join(folder, file)));
}

/** `toolchain`: a file names the compiler, which is brought with it. */
function checkTools(toolchain) {
  const { platform, arch } = process;
  if (platform === 'win32' && !toolchain) {
    throw new BuildError(
      'the addon cannot be compiled on Windows: use the prebuilt one of win32-x64, or WSL 2, where warpdice runs as linux-x64.',
    );
  }
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new BuildError(
      `${platform}-${arch} is not supported: only x64 and arm64 processors are.`,
    );
  }
  const missing = [];
  if (!onPath('cmake')) missing.push('CMake 3.22 or newer');
  const compilers = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (
    !toolchain &&
    !compilers.some((name) => (path.isAbsolute(name) ? existsSync(name) : onPath(name)))
  ) {
    missing.push('a C++17 compiler (GCC or Clang)');
  }
  if (!onPath('ninja') && !onPath('make')) missing.push('make or Ninja');
  if (missing.length > 0) {
    const hint =
      platform === 'darwin'
        ? 'xcode-select --install; brew install cmake'
        : 'on Debian or Ubuntu: sudo apt-get install cmake g++ make';
    throw new BuildError(
      `building the addon needs ${new Intl.ListFormat('en').format(missing)} (${hint}).`,
    );
  }
}

/** The text of the first message(FATAL_ERROR) in CMake's output. */
function cmakeMessage(output) {
  const match = /CMake Error at (\S+):\d+ \(message\):\n((?: {2}[^\n]*\n|\n)+)/.exec(output);
  if (match === null) return undefined;
  const text = match[2].replace(/\s+/g, ' ').trim();
  return /^(CMakeLists\.txt|cmake\/)/.test(match[1]) ? text : `CMake says: ${text}`;
}

/** Runs CMake. Resolves with its exit status and all it printed; `onText` sees each piece as it comes. */
function cmake(args, onText = () => {}) {
  return new Promise((resolve, reject) => {
    const child = spawn('cmake', args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        onText(text);
      });
    }
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output }));
  });
}

/** Ninja, or make where there is none. A folder that the other one has built is configured from scratch. */
function chooseGenerator(folder) {
  const generator = onPath('ninja') ? 'Ninja' : 'Unix Makefiles';
  const cache = path.join(folder, 'CMakeCache.txt');
  if (
    existsSync(cache) &&
    !readFileSync(cache, 'utf8').includes(`CMAKE_GENERATOR:INTERNAL=${generator}\n`)
  ) {
    rmSync(cache);
    rmSync(path.join(folder, 'CMakeFiles'), { recursive: true, force: true });
  }
  return generator;
}

/** The folders that hold node_api.h and napi.h. What is published has them in one of its own (scripts/packages.mjs). */
function includeFolders() {
  const published = path.join(root, 'native/headers');
  if (existsSync(published)) return [published];
  const headers = require('node-api-headers').include_dir;
  return [headers, path.dirname(require.resolve('node-addon-api/package.json'))];
}

/** What CMake's cache must be told. */
function settingsOf(folder) {
  const settings = {
    CMAKE_BUILD_TYPE: 'Release',
    CMAKE_LIBRARY_OUTPUT_DIRECTORY: path.join(folder, 'Release'),
    CMAKE_JS_INC: includeFolders().join(';'), // cmake-js's own name, so that it can build this too
    // AUTO is said aloud, or an earlier ON or OFF would stay in CMake's cache.
    WARPDICE_CUDA: process.env.WARPDICE_CUDA || 'AUTO',
    WARPDICE_SIMD_TARGETS: process.env.WARPDICE_SIMD_TARGETS || 'AUTO',
  };
  for (const name of ['WARPDICE_SANITIZE', 'WARPDICE_WERROR']) {
    if (process.env[name]) settings[name] = process.env[name];
  }
  return settings;
}

/** Compiles, and shows how far it is: one line that changes on a terminal, else one at the end. */
async function compile(folder) {
  const begin = performance.now();
  const seconds = () => `${Math.round((performance.now() - begin) / 1000)} s`;
  let done = '';
  const show = () => process.stdout.write(`\r\x1b[Kwarpdice: compiling${done}, ${seconds()}`);
  const timer = process.stdout.isTTY ? setInterval(show, 1000) : undefined;
  const args = ['--build', folder, '--parallel', String(os.availableParallelism())];
  const { status, output } = await cmake(args, (text) => {
    const [, progress] = /^.*\[ *(\d+\/\d+|\d+%)\] /s.exec(text) ?? []; // Ninja's, make's
    if (progress !== undefined) done = ` ${progress.replace('/', ' of ')}`;
  }).finally(() => clearInterval(timer));
  if (timer !== undefined) process.stdout.write('\r\x1b[K');
  // All but the steps, of which only the line of progress speaks: warnings and errors.
  const rest = output.replace(/^(\[ *\d+(\/\d+|%)\] |Consolidate |ninja: no work).*\n/gm, '');
  process.stderr.write(rest);
  if (status !== 0) {
    const where = process.platform === 'darwin' ? ' on macOS, where it is not tested' : '';
    throw new BuildError(`the addon did not compile${where}; the compiler's output is above.`);
  }
  console.log(`warpdice: the addon is compiled (${seconds()})`);
}

/**
 * Configures the folder `out` and returns its path; `defines` are CMake's, such as -DWARPDICE_PREBUILT=ON. `clean` removes the
 * folder first, once nothing is missing.
 */
export async function configure({ out = 'build', defines = [], clean = false } = {}) {
  checkTools(defines.some((define) => define.startsWith('-DCMAKE_TOOLCHAIN_FILE=')));
  const folder = path.resolve(root, out);
  if (clean) rmSync(folder, { recursive: true, force: true });
  const settings = Object.entries(settingsOf(folder)).map(([name, value]) => `-D${name}=${value}`);
  const generator = ['-G', chooseGenerator(folder)];
  const where = ['-S', root, '-B', folder];
  const { status, output } = await cmake([...where, ...generator, ...settings, ...defines]);
  if (status !== 0) {
    const message = cmakeMessage(output);
    if (message === undefined) process.stderr.write(output);
    throw new BuildError(message ?? 'CMake could not configure the build; its output is above.');
  }
  for (const [, line] of output.matchAll(/^-- (warpdice: .*)$/gm)) console.log(line);
  return folder;
}

/** Builds the addon. It is always configured anew, so that changed options count. */
export async function buildNative(options) {
  await compile(await configure(options));
}

/** Runs `action` and turns a BuildError into one line and exit status 1. */
export async function reportBuildErrors(action) {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`warpdice: ${error.message}`);
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  const at = args.indexOf('--out');
  const [, out] = at < 0 ? [] : args.splice(at, 2);
  await reportBuildErrors(() => buildNative({ out, defines: args }));
}
